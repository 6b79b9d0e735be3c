"""The load tool: what it counts, and that a stall of the service is felt by everybody who was due during it."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import repeat
from pathlib import Path
from typing import Any

import load
import load_report
import pytest

REPLY = json.dumps({"snapshot": {"id": "a"}}).encode()


async def loaded(stall_s: float, rate: float, seconds: float, *, status: bytes = b"200 OK") -> list[Any]:
    """Ask a server of this very process that stops for a while at its fifth request."""
    seen = 0
    free = asyncio.Lock()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        while not reader.at_eof():
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
            async with free:  # as one worker would
                seen += 1
                if seen == 5:
                    await asyncio.sleep(stall_s)
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(REPLY) + REPLY)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    client = load.Client(server.sockets[0].getsockname()[1])
    async with server:
        samples = await load.arrive(client, repeat(b"{}"), rate, seconds)
        await client.close()
    return list(samples)


def test_stall_is_felt_by_all_who_were_due() -> None:
    """This ensures that latencies count from when a question was due: a stall of 0.3 s delays dozens, not one."""
    samples = asyncio.run(loaded(stall_s=0.3, rate=200, seconds=0.5))

    late = [s for s in samples if s.latency_ms > 50]
    assert len(samples) == 100
    assert {s.status for s in samples} == {200}
    assert len(late) > 30
    assert max(s.latency_ms for s in samples) >= 290


def test_refusals_and_silence_are_failures() -> None:
    """This ensures that whatever is not answered with 200 is counted as failed, by its status."""
    samples = asyncio.run(loaded(stall_s=0.0, rate=100, seconds=0.1, status=b"503 Busy"))
    samples.append(asyncio.run(load.Client(1, timeout_s=1.0).ask(b"{}", time.monotonic())))

    report = load_report.summarise(samples, [], 1.0, 1.0)

    assert report.failures == {"503": 10, "no response": 1}
    assert report.n_failed == 11
    assert report.overall.p50 is None


def sample(due: float, done: float, snapshot: str = "a") -> Any:
    return load_report.Sample(due, done, 200, snapshot)


def test_requests_fall_into_their_windows() -> None:
    """This ensures that a request counts as during a switch when any part of it is, and to one window alone."""
    switches = [load_report.Switch("b", started=10.0, published=11.0, finished=12.0)]
    samples = [
        sample(1, 1.1),
        sample(10.5, 10.6),
        sample(10.9, 11.05),
        sample(11.9, 12.5, "b"),
        sample(12.1, 12.2, "b"),
    ]

    report = load_report.summarise(samples, switches, 1.0, 1.0)

    assert (report.outside.n, report.during_commands.n, report.during_switches.n) == (2, 1, 2)
    assert report.switch_ms.p50 == 1000.0
    assert report.n_out_of_date == 0


def test_reply_of_an_older_snapshot_is_found() -> None:
    """This ensures that a worker that still serves the old snapshot after the switch is counted."""
    switches = [load_report.Switch("b", 10.0, 11.0, 12.0)]

    assert load_report.count_out_of_date([sample(11.5, 11.6, "a"), sample(12.5, 12.6, "b")], switches) == 0
    assert load_report.count_out_of_date([sample(12.5, 12.6, "a")], switches) == 1


def test_percentiles_are_times_that_were_measured() -> None:
    """This ensures that percentiles are by nearest rank."""
    found = load_report.percentiles([float(i) for i in range(1, 101)])

    assert (found.n, found.p50, found.p95, found.p99, found.worst) == (100, 50.0, 95.0, 99.0, 100.0)
    assert load_report.percentiles([7.0]).p99 == 7.0


def test_commands_alternate_between_two_snapshots(tmp_path: Path) -> None:
    """This ensures that every rollback names another snapshot, and that one alone is refused."""
    for name in ("20260101T000000Z-aaaaaaaa", "20260102T000000Z-bbbbbbbb"):
        (tmp_path / "snapshots" / name).mkdir(parents=True)
    (tmp_path / "CURRENT").write_text("20260102T000000Z-bbbbbbbb\n")

    turns = load.commands(tmp_path, None)

    assert [next(turns)[1][-1] for _ in range(4)] == ["a", "b", "a", "b"]
    (tmp_path / "snapshots" / "20260101T000000Z-aaaaaaaa").rmdir()
    with pytest.raises(SystemExit, match="one snapshot alone"):
        next(load.commands(tmp_path, None))


def test_bounds_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that no run is without an end."""
    with pytest.raises(SystemExit):
        load.parse(["index", "questions", "--seconds", "1e9"])

    assert "out of bounds" in capsys.readouterr().err
