"""Workers that are killed at any moment of a switch, under load: others answer, a new one takes the new snapshot."""

from __future__ import annotations

import http.client
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from serving import Server, build_index, serving

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from bench_serving_memory import copy_with_two_snapshots

from index.snapshot import open_snapshot
from index.verify import verify_snapshot

PROGRAM = (sys.executable, str(Path(__file__).with_name("switch_server.py")))
VARIABLES = {"CITEWELL_RATE_LIMIT": "off", "CITEWELL_REFRESH_S": "0.1"}
# Begin and end of: opening and checking the new snapshot, its first question, taking the old one's place.
MOMENTS = [(f"{step} {moment}") for step in ("open", "warm", "replace") for moment in ("begin", "end")]
N_CLIENTS = 3
N_WORKERS = 2
# Answers that each kill has to leave time for: while one worker is gone, and once another is in its place.
ANSWERS = 10
# A worker that died is noticed at once, not when it has not answered a ping for long (20 s).
REPLACED_WITHIN_S = 15.0


def served_by_all(server: Server, name: str) -> bool:
    """Tell whether whatever worker answers, it answers from this snapshot; the kernel picks one for each connection."""
    return all(server.send("/v1/health").json()["snapshot"]["id"] == name for _ in range(12))


def n_started(server: Server) -> int:
    """Count the workers that were ever ready to answer."""
    return sum(event["event"] == "Application startup complete." for event in server.events())


def test_worker_killed_at_any_moment_of_a_switch(tmp_path: Path) -> None:
    """This ensures that kill -9 in each phase of a switch costs what that worker answered, and the switch is made."""
    index_dir, names = copy_with_two_snapshots(build_index(tmp_path), tmp_path / "copy")
    folder = tmp_path / "served"
    outcomes: Counter[int | str] = Counter()
    wrong: list[str] = []
    replaced_after_s: list[float] = []
    stop = threading.Event()
    with serving(index_dir.path, folder, "--workers", str(N_WORKERS), program=PROGRAM, **VARIABLES) as server:

        def ask() -> None:
            while not stop.is_set():
                try:
                    reply = server.ask("how is methadone taken")
                except (OSError, http.client.HTTPException):
                    outcomes["dropped"] += 1
                    continue
                outcomes[reply.status] += 1
                if "Methadone is usually taken once a day" not in reply.json()["passages"][0]["text"]:
                    wrong.append(reply.body.decode())

        server.wait_until(lambda: served_by_all(server, names[1]))
        threads = [threading.Thread(target=ask) for _ in range(N_CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            for number, moment in enumerate(MOMENTS):
                before, wanted = set(server.workers()), names[number % 2]
                (folder / "kill-at.new").write_text(moment)
                (folder / "kill-at.new").rename(folder / "kill-at")
                index_dir.rollback(wanted)
                server.wait_until(lambda: not (folder / "kill-at").exists())
                killed_at, answered = time.monotonic(), outcomes[200]
                server.wait_until(lambda answered=answered: outcomes[200] >= answered + ANSWERS)
                server.wait_until(lambda before=before: len(set(server.workers()) - before) == 1)
                replaced_after_s.append(time.monotonic() - killed_at)
                # With one worker only, the next kill would leave nobody to answer.
                server.wait_until(lambda number=number: n_started(server) == N_WORKERS + number + 1)
                server.wait_until(lambda wanted=wanted: served_by_all(server, wanted))
                answered = outcomes[200]
                server.wait_until(lambda answered=answered: outcomes[200] >= answered + ANSWERS)
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)
        code = server.stop()

    deaths = [event for event in server.events() if event["event"] == "worker_died"]
    assert len(deaths) == len(MOMENTS), "a worker outlived its trap: the test proves nothing"
    assert (set(outcomes) <= {200, "dropped"}, wrong, code) == (True, [], 0), outcomes
    assert outcomes[200] > 100
    assert max(replaced_after_s) < REPLACED_WITHIN_S, replaced_after_s
    assert outcomes["dropped"] <= N_CLIENTS * len(MOMENTS), outcomes
    for name in names:
        with open_snapshot(index_dir, name) as snapshot:
            assert verify_snapshot(snapshot).is_sound
