"""Real serving processes for the end-to-end tests: built once, started on a free port, ended in order."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CITEWELL = [sys.executable, "-c", "from service.cli import main; main()"]
ROOT = Path(__file__).parents[1]
DOCUMENTS = {
    "methadone.md": "# Methadone\n\n## How it is taken\n\nMethadone is usually taken once a day, under supervision.\n",
    "naloxone.md": "# Naloxone\n\n## What it does\n\nNaloxone reverses an opioid overdose for 30 to 90 minutes.\n",
    "withdrawal.txt": "Heroin withdrawal starts 8 to 24 hours after the last use and is worst on the second day.\n",
}
_STARTS_WITHIN_S = 90


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without settings, and with these variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CITEWELL_")}
    return {**kept, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), **variables}


def build_index(folder: Path, documents: Mapping[str, str] = DOCUMENTS, **variables: str) -> Path:
    """Build an index of a few documents with the default model and these settings; return its folder."""
    for name, text in documents.items():
        path = folder / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    built = subprocess.run(
        [*CITEWELL, "build", str(folder / "corpus"), "--index-dir", str(folder / "index"), "--json"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env=environment(**variables),
        cwd=folder,
    )
    assert built.returncode == 0, built.stderr
    return folder / "index"


@dataclass(frozen=True)
class Reply:
    """One response, or the way a connection failed."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        """Return the body as JSON."""
        return json.loads(self.body)


@dataclass
class Server:
    """A running `citewell serve`."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    def send(
        self,
        path: str,
        body: bytes | str | dict[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "",
        timeout_s: float = 60.0,
    ) -> Reply:
        """Send one request on a connection of its own; a body makes it a POST."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        content = json.dumps(body) if isinstance(body, dict) else body
        try:
            sent = {"content-type": "application/json", **(headers or {})}
            connection.request(method or ("GET" if body is None else "POST"), path, content, sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, response.read())
        finally:
            connection.close()

    def ask(self, question: str, **fields: object) -> Reply:
        """Ask one question."""
        return self.send("/v1/ask", {"question": question, **fields})

    def wait_until(self, is_so: object, within_s: float = _STARTS_WITHIN_S) -> None:
        """Wait until a function of no arguments returns something true."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if is_so():
                    return
            time.sleep(0.05)
        raise AssertionError(self.output()[-4_000:])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the process to end; return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def output(self) -> str:
        """Return everything that was written to standard output and error."""
        return (self.folder / "stdout").read_text() + (self.folder / "stderr").read_text()

    def events(self) -> list[dict[str, object]]:
        """Return the log so far; every line of it is JSON."""
        return [json.loads(line) for line in (self.folder / "stderr").read_text().splitlines()]

    def workers(self) -> list[int]:
        """Return the process ids of those that serve."""
        found = children_of(self.process.pid)
        return [pid for pid in found if "spawn_main" in command_of(pid)] or [self.process.pid]

    def resident_bytes(self) -> list[int]:
        """Return the resident memory of each serving process."""
        return [resident_bytes_of(pid) for pid in self.workers()]


def children_of(pid: int) -> list[int]:
    """Return the process ids of a process's children."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def command_of(pid: int) -> str:
    """Return a process's command line."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def resident_bytes_of(pid: int) -> int:
    """Return the resident memory of a process, 0 where there is none."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


@contextmanager
def serving(
    index_dir: Path, folder: Path, *options: str, program: Sequence[str] = CITEWELL, **variables: str
) -> Iterator[Server]:
    """
    Start a process on a free port and wait until it answers health.

    Args:
        folder: working directory; standard output and error are written to files in it.
        program: another one that serves like `citewell`.
        variables: settings as environment variables, with their prefix.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [*program, "serve", "--port", "0", "--index-dir", str(index_dir), *options]
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment(**variables), cwd=folder)
    server = Server(process, 0, folder)
    try:
        server.wait_until(lambda: process.poll() is not None or (folder / "stderr").read_text().count("\n"))
        assert process.poll() is None, server.output()
        server.port = int(str(server.events()[0]["url"]).rpartition(":")[2])
        server.wait_until(lambda: server.send("/v1/health/live").status == 200)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=60)
