"""Snapshots that change while people ask: every worker takes the new one, nobody gets an error, a bad one is none."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from pathlib import Path

from serving import Server, build_index, serving

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from bench_serving_memory import copy_with_two_snapshots

VARIABLES = {"CITEWELL_RATE_LIMIT": "off", "CITEWELL_REFRESH_S": "0.1"}


def opened(server: Server, name: str) -> int:
    return sum(e["event"] == "snapshot_opened" and e["snapshot"] == name for e in server.events())


def test_every_worker_switches_while_people_ask(tmp_path: Path) -> None:
    """This ensures that two workers each take five new snapshots under load without one failed question."""
    index_dir, names = copy_with_two_snapshots(build_index(tmp_path), tmp_path / "copy")
    outcomes: Counter[tuple[int, str]] = Counter()
    stop = threading.Event()
    with serving(index_dir.path, tmp_path / "served", "--workers", "2", **VARIABLES) as server:

        def ask() -> None:
            while not stop.is_set():
                reply = server.ask("how is methadone taken")
                outcomes[reply.status, str(reply.json()["snapshot"]["id"])] += 1

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            server.wait_until(lambda: opened(server, names[1]) == 2)
            for number in range(5):
                name = names[number % 2]
                expected = opened(server, name) + 2
                index_dir.rollback(name)
                server.wait_until(lambda name=name, expected=expected: opened(server, name) == expected)
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)

    assert {status for status, _ in outcomes} == {200}
    assert {name for _, name in outcomes} == set(names)


def test_damaged_snapshot_is_refused_by_every_worker(tmp_path: Path) -> None:
    """This ensures that one flipped byte keeps the old snapshot in use, is named in health, counted, and logged."""
    index_dir, names = copy_with_two_snapshots(build_index(tmp_path), tmp_path / "copy")
    with serving(index_dir.path, tmp_path / "served", "--workers", "2", **VARIABLES) as server:
        server.wait_until(lambda: opened(server, names[1]) == 2)
        damaged = index_dir.snapshot_path(names[0]) / "dense.faiss"
        index_dir.rollback(names[0])
        server.wait_until(lambda: opened(server, names[0]) == 2)
        content = (index_dir.snapshot_path(names[1]) / damaged.name).read_bytes()
        (index_dir.snapshot_path(names[1]) / damaged.name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        # What a rollback would refuse, a restored backup or a failing disk does not ask for.
        (index_dir.path / "CURRENT").write_text(f"{names[1]}\n")
        server.wait_until(lambda: sum(e["event"] == "snapshot_refused" for e in server.events()) == 2)
        health, answer = server.send("/v1/health").json(), server.ask("how is methadone taken").json()
        metrics = server.send("/metrics").body.decode()

    assert health["ready"] is True
    assert health["snapshot"]["id"] == names[0]
    assert health["last_reload_error"]["code"] == "snapshot_corrupt"
    assert answer["snapshot"]["id"] == names[0]
    assert 'citewell_reload_failures_total{what="snapshot"} 2.0' in metrics
