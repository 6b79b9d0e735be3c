"""
Ask a running service at a share of its capacity while snapshots are switched under it, and print what it cost.

    python tests/bench/load.py var/index QUESTIONS.jsonl --workers 2 --seconds 300 --switches 30

Starts `citewell serve` on a free port of the loopback and talks to nothing else. First the capacity is measured with
connections that are never idle. Then questions arrive at a fixed rate, `--share` of it, whether or not earlier ones are
answered; a latency counts from the moment at which a question was due, so that a stall is felt by all who would have
asked during it (no coordinated omission). Meanwhile the command line rolls back and forth between two snapshots of the
index, or builds (`--rebuild CORPUS`). Client and service share the machine: the figures are the service's worst case.

The index folder is changed: copy one that matters. Exits 1 when a request failed or a reply was out of date.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from typing import Any

from load_report import Report, Sample, Switch, print_table, summarise

CITEWELL = [sys.executable, "-c", "from service.cli import main; main()"]
MOST_SECONDS = 3_600.0
MOST_PER_S = 5_000.0
MOST_IN_FLIGHT = 2_000  # arrivals beyond it count as failed: a service that far behind has failed them
TIMEOUT_S = 30.0
# The service closes a connection that was idle for 5 s; one that it is just closing would look like a failure.
MOST_IDLE_S = 2.0
# Of the service's log, one JSON object a line.
_EVENTS = (b'"listening"', b'"snapshot_opened"')


class Client:
    """Keeps connections to one address of the loopback and asks over them; one request at a time on each."""

    def __init__(self, port: int, timeout_s: float = TIMEOUT_S) -> None:
        self._port = port
        self._timeout_s = timeout_s
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, body: bytes, due: float) -> Sample:
        """Send one question; a connection that fails is a request that failed, and is not tried again."""
        try:
            async with asyncio.timeout(self._timeout_s):
                status, content = await self._exchange(body)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            return Sample(due, time.monotonic(), 0)
        done = time.monotonic()
        snapshot = json.loads(content)["snapshot"] if status == 200 else None
        return Sample(due, done, status, snapshot["id"] if snapshot else "")

    async def _exchange(self, body: bytes) -> tuple[int, bytes]:
        reader, writer = await self._connection()
        try:
            head = (
                f"POST /v1/ask HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            content = await reader.readexactly(int(headers["content-length"]))
        except BaseException:
            writer.close()
            raise
        if headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self._idle.append((time.monotonic(), reader, writer))
        return int(first.split()[1]), content

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Take the connection that was idle for the shortest time, or open one."""
        while self._idle:
            since, reader, writer = self._idle.pop()
            if time.monotonic() - since < MOST_IDLE_S and not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def close(self) -> None:
        """Close the connections that are open."""
        for _, _, writer in self._idle:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        self._idle.clear()


async def measure_capacity(client: Client, bodies: Iterator[bytes], n_connections: int, seconds: float) -> float:
    """Return how many questions a second are answered when every connection always has one under way."""
    until = time.monotonic() + seconds
    done = 0

    async def keep_asking() -> None:
        nonlocal done
        while time.monotonic() < until:
            sample = await client.ask(next(bodies), time.monotonic())
            if sample.status != 200:
                raise SystemExit(f"the service answers {sample.status or 'nothing'} while its capacity is measured")
            done += 1

    started = time.monotonic()
    await asyncio.gather(*(keep_asking() for _ in range(n_connections)))
    return done / (time.monotonic() - started)


async def arrive(client: Client, bodies: Iterator[bytes], rate_per_s: float, seconds: float) -> list[Sample]:
    """Ask at a fixed rate, whether or not earlier questions are answered; return what became of each."""
    samples: list[Sample] = []
    under_way: set[asyncio.Task[None]] = set()
    started = time.monotonic()

    async def ask(body: bytes, due: float) -> None:
        samples.append(await client.ask(body, due))

    for i in range(int(seconds * rate_per_s)):
        due = started + i / rate_per_s
        if (wait := due - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        if len(under_way) >= MOST_IN_FLIGHT:
            samples.append(Sample(due, time.monotonic(), 0))
            continue
        task = asyncio.create_task(ask(next(bodies), due))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    return samples


class Served:
    """A running `citewell serve` whose log tells which worker opened which snapshot."""

    def __init__(self, index_dir: Path, process: subprocess.Popen[bytes], log_path: Path, workers: int) -> None:
        self.index_dir = index_dir
        self.workers = workers
        self._process = process
        self._log_path = log_path
        self._read_bytes = 0
        self._seen: list[dict[str, Any]] = []

    @property
    def port(self) -> int:
        """Return the port, from the line that says that it listens."""
        return int(str(self._events("listening")[0]["url"]).rpartition(":")[2])

    def n_opened(self, snapshot: str) -> int:
        """Return how often a worker said that it opened a snapshot."""
        return sum(event.get("snapshot") == snapshot for event in self._events("snapshot_opened"))

    def _events(self, name: str) -> list[dict[str, Any]]:
        # Only what is new is read: the log gets a line for every request, and looking must cost the service nothing.
        with self._log_path.open("rb") as log:
            log.seek(self._read_bytes)
            complete, end, _ = log.read().rpartition(b"\n")  # a line under way has no end yet
        self._read_bytes += len(complete) + len(end)
        self._seen += [json.loads(line) for line in complete.split(b"\n") if any(event in line for event in _EVENTS)]
        return [event for event in self._seen if event["event"] == name]

    def worker_pids(self) -> list[int]:
        """Return the processes that answer: the children of the supervisor, or the process itself."""
        if self.workers == 1:
            return [self._process.pid]
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                command = (stat.parent / "cmdline").read_bytes()
                if parent == self._process.pid and b"resource_tracker" not in command:
                    found.append(int(stat.parent.name))
        return sorted(found)

    def memory(self) -> dict[int, dict[str, int]]:
        """Return resident and proportional set size of each worker, in bytes."""
        sizes = {}
        for pid in self.worker_pids():
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kilobytes = {parts[0]: int(parts[1]) for line in lines if len(parts := line.split()) == 3}
            sizes[pid] = {"rss": kilobytes["Rss:"] * 1024, "pss": kilobytes["Pss:"] * 1024}
        return sizes


@contextmanager
def serve(index_dir: Path, workers: int, variables: Sequence[str]) -> Iterator[Served]:
    """Serve an index on a free port of the loopback until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        log_path = Path(folder) / "log"
        options = ["--host", "127.0.0.1", "--port", "0", "--workers", str(workers), "--index-dir", str(index_dir)]
        with log_path.open("wb") as log:
            # One client asks all the questions: no rate limit unless it is asked for.
            environment = {**os.environ, "CITEWELL_RATE_LIMIT": "off", **dict(pair.split("=", 1) for pair in variables)}
            process = subprocess.Popen([*CITEWELL, "serve", *options], stderr=log, env=environment)
        try:
            served = Served(index_dir, process, log_path, workers)
            current = (index_dir / "CURRENT").read_text().strip()
            wait_for(lambda: process.poll() is not None or served.n_opened(current) >= workers, 120.0)
            if process.poll() is not None:
                raise SystemExit(log_path.read_text())
            yield served
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait_for(is_so: Callable[[], bool], seconds: float, every_s: float = 0.02) -> None:
    """Wait until something is so; give up with a message after a while."""
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            raise SystemExit(f"nothing happened for {seconds:.0f} s")
        time.sleep(every_s)


def switch(served: Served, command: Sequence[str]) -> Switch:
    """Run a command that publishes a snapshot; return once every worker serves it. Runs in a thread of its own."""
    pointer = served.index_dir / "CURRENT"
    before = pointer.read_text()
    opened = {path.name: served.n_opened(path.name) for path in (served.index_dir / "snapshots").iterdir()}
    started = time.monotonic()
    process = subprocess.Popen([*CITEWELL, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_for(lambda: pointer.read_text() != before or process.poll() not in (None, 0), 1_800.0, 0.002)
    published = time.monotonic()
    snapshot = pointer.read_text().strip()
    if snapshot == before.strip():
        raise SystemExit((process.stderr.read() if process.stderr else b"").decode())
    wait_for(lambda: served.n_opened(snapshot) >= opened.get(snapshot, 0) + served.workers, 120.0, 0.01)
    finished = time.monotonic()
    process.communicate(timeout=600)
    return Switch(snapshot, started, published, finished)


def commands(index_dir: Path, rebuild: Path | None) -> Iterator[list[str]]:
    """Yield commands that each publish another snapshot than the one before."""
    at = ["--index-dir", str(index_dir)]
    if rebuild is not None:
        while True:
            yield ["build", str(rebuild), *at, "--allow-failures"]
    current = (index_dir / "CURRENT").read_text().strip()
    others = sorted(p.name for p in (index_dir / "snapshots").iterdir() if p.name[0] != "." and p.name != current)
    if not others:
        raise SystemExit("there is one snapshot alone: build once more, or give --rebuild CORPUS")
    for name in cycle([others[-1], current]):
        yield ["rollback", name, *at]


def read_bodies(paths: Sequence[Path], top_k: int) -> Iterator[bytes]:
    """Yield requests for ever, from the questions of labelled files, in their order."""
    questions = [json.loads(line)["question"] for path in paths for line in path.read_text("utf-8").split("\n") if line]
    return cycle([json.dumps({"question": question, "top_k": top_k}).encode() for question in questions])


async def run(served: Served, options: argparse.Namespace) -> Report:
    """Measure capacity, then load and switch; return the report."""
    client = Client(served.port)
    bodies = read_bodies(options.questions, options.top_k)
    await measure_capacity(client, bodies, options.connections, options.warm)
    capacity = await measure_capacity(client, bodies, options.connections, options.capacity)
    rate = min(options.rate or capacity * options.share, MOST_PER_S)
    before = served.memory()
    arriving = asyncio.create_task(arrive(client, bodies, rate, options.seconds))
    switches = await switch_at_intervals(served, options)
    samples = await arriving
    await client.close()
    report = summarise(samples, switches, capacity, rate)
    after = served.memory()
    report.memory = [
        {"pid": pid, "rss_before": then["rss"], "pss_before": then["pss"], **_named(after.get(pid), "after")}
        for pid, then in before.items()
    ]
    return report


async def switch_at_intervals(served: Served, options: argparse.Namespace) -> list[Switch]:
    """Switch so many times, evenly over the run; one that takes longer than its turn delays the next."""
    switches: list[Switch] = []
    turns = commands(served.index_dir, options.rebuild) if options.switches else iter(())
    started = time.monotonic()
    for i in range(options.switches):
        at = started + (i + 0.5) * options.seconds / options.switches
        await asyncio.sleep(max(at - time.monotonic(), 0.0))
        if time.monotonic() > started + options.seconds:
            break
        switches.append(await asyncio.to_thread(switch, served, next(turns)))
    return switches


def _named(sizes: dict[str, int] | None, when: str) -> dict[str, int]:
    return {f"{name}_{when}": size for name, size in (sizes or {"rss": 0, "pss": 0}).items()}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description="Load a service while its snapshots are switched.", epilog="The index folder is changed."
    )
    parser.add_argument("index_dir", type=Path, help="index with two snapshots or more")
    parser.add_argument("questions", type=Path, nargs="+", help="labelled questions, one JSON object a line")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30.0, help=f"of load, at most {MOST_SECONDS:.0f}")
    parser.add_argument("--switches", type=int, default=5, help="rollbacks or builds during it")
    parser.add_argument("--rebuild", type=Path, metavar="CORPUS", help="build this instead of rolling back")
    parser.add_argument("--share", type=float, default=0.8, help="of the capacity, 0 to 1")
    parser.add_argument("--rate", type=float, default=0.0, help="questions a second instead of a share")
    parser.add_argument("--connections", type=int, default=16, help="while the capacity is measured")
    parser.add_argument("--warm", type=float, default=3.0, help="seconds before the capacity is measured")
    parser.add_argument("--capacity", type=float, default=10.0, help="seconds in which the capacity is measured")
    parser.add_argument("--top-k", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="variable for the service")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report there")
    options = parser.parse_args(arguments)
    if not 0 < options.seconds <= MOST_SECONDS or not 0 < options.share <= 1 or options.workers < 1:
        parser.error("seconds, share or workers out of bounds")
    return options


def main() -> int:
    """Run, print, and return 1 when anything failed."""
    options = parse()
    pointer = options.index_dir / "CURRENT"
    before = pointer.read_text().strip()
    with serve(options.index_dir, options.workers, options.set) as served:
        report = asyncio.run(run(served, options))
    if options.rebuild is None and pointer.read_text().strip() != before:
        subprocess.run([*CITEWELL, "rollback", before, "--index-dir", str(options.index_dir)], check=True)
    print_table(report)
    if options.json:
        options.json.write_text(json.dumps(asdict(report), indent=2) + "\n")
    return 1 if report.n_failed or report.n_out_of_date else 0


if __name__ == "__main__":
    raise SystemExit(main())
