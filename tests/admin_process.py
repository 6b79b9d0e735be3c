"""A real serving process with an admin token, for tests that use it as an operator does."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from admin_support import ADMIN, bearer

CITEWELL = [sys.executable, "-c", "from service.cli import main; main()"]
# Starting a build imports torch, which takes a second alone and half a minute on a machine with other work.
PATIENCE_S = 180.0


def environment(**variables: str) -> dict[str, str]:
    """Return the environment without settings of the person who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CITEWELL_")}
    return {**kept, "HF_HUB_OFFLINE": "1", **variables}


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body read as JSON."""
        return json.loads(self.body)


@dataclass
class AdminServer:
    """A running `citewell serve` with an admin token."""

    process: subprocess.Popen[str]
    port: int
    log_path: Path

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """Send one request with the admin token."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        given = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        sent = {**bearer(ADMIN.token), **given}
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def ask(self, question: str) -> list[str]:
        """Return the ids of the documents that are quoted."""
        body = json.dumps({"question": question}).encode()
        reply = self.call("POST", "/v1/ask", body, content_type="application/json")
        assert reply.status == 200, reply.body
        return [passage["document"]["id"] for passage in reply.json["passages"]]

    def build(self) -> dict[str, Any]:
        """Start a build, follow its events to the end; return the last one."""
        started = self.call("POST", "/v1/admin/builds")
        assert started.status == 202, started.body
        events = self.call("GET", f"{started.headers['location']}/events")
        *_, last = [line for line in events.body.decode().splitlines() if line.startswith("data: ")]
        return json.loads(last.removeprefix("data: "))

    def wait_for_snapshot(self, snapshot_id: str) -> None:
        """Wait until this server answers from a snapshot."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            served = self.call("GET", "/v1/health").json["snapshot"]
            if served and served["id"] == snapshot_id:
                return
            time.sleep(0.1)
        raise AssertionError(self.log_path.read_text()[-3_000:])

    def wait_for_state(self, job_id: str, wanted: tuple[str, ...], phase: str = "") -> dict[str, Any]:
        """Wait until a build is in one of these states, and in that phase if one is given."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            job = self.call("GET", f"/v1/admin/builds/{job_id}").json
            if job["state"] in wanted and phase in ("", job["phase"]):
                return job
            time.sleep(0.02)
        raise AssertionError(job)

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=30)


@contextmanager
def serve_admin(folder: Path, *options: str, **variables: str) -> Iterator[AdminServer]:
    """Serve `folder`/corpus and `folder`/index on a free port."""
    log_path = folder / "log"
    variables = {"CITEWELL_ADMIN_TOKENS": ADMIN.setting, "CITEWELL_CORPUS": str(folder / "corpus"), **variables}
    with log_path.open("w") as log:
        process = subprocess.Popen(
            [
                *CITEWELL,
                "serve",
                "--port",
                "0",
                "--index-dir",
                str(folder / "index"),
                "--min-confidence",
                "0",
                *options,
            ],
            stderr=log,
            stdout=subprocess.DEVNULL,
            text=True,
            env=environment(**variables),
            cwd=folder,
        )
    try:
        yield AdminServer(process, _port(process, log_path), log_path)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=60)


def _port(process: subprocess.Popen[str], log_path: Path) -> int:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log_path.read_text()
        first, end, _ = log_path.read_text().partition("\n")
        if end:
            return int(json.loads(first)["url"].rpartition(":")[2])
        time.sleep(0.02)
    raise AssertionError(log_path.read_text())
