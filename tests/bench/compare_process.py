"""
Processes under measurement: started, watched for time and memory, asked line by line. Knows no library and no measure.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_LOOK_S = 0.2
# The service closes a connection that was idle for 5 s; other sides may take longer than that in between.
_MOST_IDLE_S = 2.0
# Whatever the limit of one side: the machine keeps this much, so that nothing else on it is killed. Who holds a quarter
# of the machine has to go then, not who happens to look first.
_LEFT_FREE_BYTES = 1_500_000_000
_MUCH = 0.25


class SideFailed(Exception):
    """A side did not do what it was asked to; the sentence says why, for the table."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process may take."""

    seconds: float
    memory_bytes: int


def environment() -> dict[str, str]:
    """Return this process's environment without Citewell's settings, offline and without telemetry."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CITEWELL_")}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HAYSTACK_TELEMETRY_ENABLED": "False"}
    return {**kept, **offline, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}


class Worker:
    """One side's process."""

    def __init__(self, side: str, what: str, job_path: Path, limits: Limits) -> None:
        self._limits = limits
        self._why = ""
        self._errors = job_path.with_suffix(f".{side}.{what}.log")
        command = [sys.executable, str(HERE / "compare_side.py"), side, what, str(job_path)]
        self.started = time.perf_counter()
        with self._errors.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        self._allowed_s = limits.seconds
        self._deadline = time.monotonic() + self._allowed_s
        self._watch = threading.Thread(target=self._run_watch, daemon=True)
        self._watch.start()

    def ask(self, asked: dict[str, Any], within_s: float | None = None) -> dict[str, Any]:
        """
        Send one line and return the line that answers.

        Args:
            within_s: seconds that it may take; those of the limits where not given. Between two calls it may wait
                as long as others take.

        Raises:
            SideFailed: it ended, or was ended because it took too long or too much.
        """
        assert self._process.stdin is not None
        self._allowed_s = within_s or self._limits.seconds
        self._deadline = time.monotonic() + self._allowed_s
        with suppress(OSError):
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
        return self.read()

    def read(self) -> dict[str, Any]:
        """Return the next line. Raises SideFailed as `ask`."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            self._deadline = math.inf
            found: dict[str, Any] = json.loads(line)
            return found
        self._process.wait()
        self._watch.join()
        raise SideFailed(self._why or f"ended with code {self._process.returncode}: {self._last_words()}")

    def end(self) -> None:
        """Close its input and wait; kill it if that does not suffice."""
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._watch.join()

    def _run_watch(self) -> None:
        while self._process.poll() is None:
            resident = resident_bytes(self._process.pid)
            if resident > self._limits.memory_bytes:
                self._why = f"held more than {self._limits.memory_bytes / 1e9:.0f} GB"
            elif memory_bytes("MemAvailable") < _LEFT_FREE_BYTES and resident > _MUCH * memory_bytes("MemTotal"):
                self._why = f"held {resident / 1e9:.1f} GB and the machine ran out of memory"
            elif time.monotonic() > self._deadline:
                self._why = f"took longer than {self._allowed_s:.0f} s"
            if self._why:
                self._process.kill()
                return
            time.sleep(_LOOK_S)

    def _last_words(self) -> str:
        lines = self._errors.read_text("utf-8", "replace").strip().splitlines() if self._errors.exists() else []
        # Folders are this machine's own and say nothing to a reader of the table.
        return re.sub(r"(/[^\s/:'\"]+)+/", "", lines[-1])[:200] if lines else "no message"


@contextmanager
def working(side: str, what: str, job_path: Path, limits: Limits) -> Iterator[Worker]:
    """Start a worker and end it whatever happens."""
    worker = Worker(side, what, job_path, limits)
    try:
        yield worker
    finally:
        worker.end()


class HttpWorker:
    """`citewell serve` on a free port of the loopback, asked over one connection that is kept."""

    def __init__(self, index_dir: Path, folder: Path, limits: Limits) -> None:
        settings = {
            "CITEWELL_LEXICON": str(ROOT / "corpus" / "lexicon.toml"),
            "CITEWELL_NOTICES": str(ROOT / "corpus" / "notices.toml"),
            "CITEWELL_RATE_LIMIT": "off",
        }
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "serve.log"
        program = [sys.executable, "-c", "from service.cli import main; main()"]
        command = [*program, "serve", "--port", "0", "--index-dir", str(index_dir)]
        self.started = time.perf_counter()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=folder, env={**environment(), **settings}, stdout=subprocess.DEVNULL, stderr=log
            )
        try:
            self._port = self._wait_for_port(limits.seconds)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        self._last_used = 0.0

    def ask(self, asked: dict[str, Any], within_s: float = 60.0) -> dict[str, Any]:
        """Answer like `Worker.ask`; the time is that from sending to having the whole body. Raises SideFailed."""
        if "memory" in asked:
            return memory_of(self._process.pid)
        body = json.dumps({"question": asked["question"], "top_k": 10}).encode()
        self._connection.timeout = within_s
        try:
            if time.monotonic() - self._last_used > _MOST_IDLE_S:
                self._connection.close()
                self._connection.connect()
            start = time.perf_counter()
            self._connection.request("POST", "/v1/ask", body, {"content-type": "application/json"})
            response = self._connection.getresponse()
            content = response.read()
            self._last_used = time.monotonic()
        except (OSError, http.client.HTTPException) as error:
            raise SideFailed(f"the connection failed: {type(error).__name__}") from error
        taken = 1000 * (time.perf_counter() - start)
        if response.status != 200:
            raise SideFailed(f"the service answered {response.status}")
        found = json.loads(content)
        places = [[p["document"]["id"], p["start"], p["end"]] for p in found["passages"]]
        return {"ms": round(taken, 3), "found": places, "answered": found["answered"], "others": {}}

    def end(self) -> None:
        """End the service."""
        self._connection.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait_for_port(self, within_s: float) -> int:
        until = time.monotonic() + within_s
        while time.monotonic() < until and self._process.poll() is None:
            for line in self._log.read_text("utf-8", "replace").splitlines():
                event = json.loads(line) if line.endswith("}") else {}
                if event.get("event") == "listening":
                    return int(str(event["url"]).rpartition(":")[2])
            time.sleep(0.01)
        raise SideFailed("citewell serve did not listen")


class Meter:
    """How many cores other work took meanwhile: what the machine did, less this process and its ended children."""

    def __init__(self) -> None:
        self._began = _moment()

    def others(self) -> float:
        """Return the cores' worth of other work since the beginning, two digits; children that still run count."""
        seconds, busy, own = (now - then for now, then in zip(_moment(), self._began, strict=True))
        return round(max(0.0, busy - own) / seconds, 2) if seconds > 0 else 0.0


def _moment() -> tuple[float, float, float]:
    """Return the clock, the busy seconds of all cores, and those of this process and its ended children."""
    times = os.times()
    own = times.user + times.system + times.children_user + times.children_system
    try:
        fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return time.monotonic(), own, own
    user, nice, system, _idle, _waiting, *interrupts = fields
    busy = (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
    return time.monotonic(), busy, own


def first_answer(asked: Worker | HttpWorker, question: str, within_s: float) -> float:
    """Return the seconds from the process's start to its first answer; a service that is not ready is asked again."""
    until = time.monotonic() + within_s
    while True:
        try:
            asked.ask({"question": question})
        except SideFailed:
            if isinstance(asked, Worker) or time.monotonic() > until:
                raise
            time.sleep(0.01)
            continue
        return time.perf_counter() - asked.started


def memory_of(pid: int) -> dict[str, int]:
    """Return what a process holds, in bytes, by the names of `compare_side.memory`."""
    names = {"Rss": "rss", "Pss": "pss", "Anonymous": "own", "VmHWM": "peak"}
    found = dict.fromkeys(names.values(), 0)
    for file in ("smaps_rollup", "status"):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/{file}").read_text("ascii", "replace").splitlines():
                key, _, value = line.partition(":")
                if key in names:
                    found[names[key]] = int(value.split()[0]) * 1024
    return found


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process, 0 where there is none."""
    with suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def memory_bytes(name: str) -> int:
    """Return what the system says of its memory: "MemTotal", or "MemAvailable", which it could still give."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def folder_bytes(folder: Path, names: Sequence[str] = ("**/*",)) -> int:
    """Return the size of all files of a folder that fit one of the patterns."""
    found = {path for name in names for path in folder.glob(name) if path.is_file()}
    return sum(path.stat().st_size for path in found)


def read_through(folder: Path) -> None:
    """Read every file of a folder once, so that it lies in the page cache for whoever is measured first as well."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            while file.read(1 << 20):
                pass
