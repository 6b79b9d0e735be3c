"""The serving process as an operator runs it: a small index really built, a real port, real signals."""

from __future__ import annotations

import http.client
import importlib.metadata
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from serving import environment

from service import prove

CITEWELL = [sys.executable, "-c", "from service.cli import main; main()"]
CANARY = "canary7f3a"
QUESTION = f"when does heroin withdrawal start {CANARY}"
# The promise is 3 s; other work shares the machine that runs the tests.
READY_WITHIN_S = 6.0
DOCUMENTS = {
    "methadone.md": "# Methadone\n\n## How it is taken\n\nMethadone is usually taken once a day, under supervision.\n",
    "naloxone.md": "# Naloxone\n\n## What it does\n\nNaloxone reverses an opioid overdose for 30 to 90 minutes.\n",
    "withdrawal.txt": "Heroin withdrawal starts 8 to 24 hours after the last use and is worst on the second day.\n",
}


@pytest.fixture(scope="module")
def index_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build an index of three documents with the default model."""
    folder = tmp_path_factory.mktemp("served")
    for name, text in DOCUMENTS.items():
        path = folder / "corpus" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    built = subprocess.run(
        [*CITEWELL, "build", str(folder / "corpus"), "--index-dir", str(folder / "index"), "--json"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env=environment(),
        cwd=folder,
    )
    assert built.returncode == 0, built.stderr
    assert json.loads(built.stdout)["n_documents"] == len(DOCUMENTS)
    return folder / "index"


@dataclass
class Served:
    """A running `citewell serve`."""

    process: subprocess.Popen[str]
    port: int
    log_path: Path

    def ask(self, path: str, body: object = None, timeout_s: float = 30.0) -> tuple[int, bytes]:
        """Send one request; a body makes it a POST."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            content = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, content, {"content-type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the process to end; return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    @property
    def log(self) -> list[dict[str, object]]:
        """Return the lines of the log so far; every one of them is JSON."""
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]


@contextmanager
def _serve(index_dir: Path, log_path: Path, *options: str) -> Iterator[Served]:
    """Start a process on a free port and wait until it accepts connections."""
    with log_path.open("w") as log:
        process = subprocess.Popen(
            [*CITEWELL, "serve", "--port", "0", "--index-dir", str(index_dir), *options],
            stderr=log,
            stdout=subprocess.DEVNULL,
            text=True,
            env=environment(),
            cwd=log_path.parent,
        )
    try:
        yield Served(process, _port_of(process, log_path), log_path)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=30)


def _port_of(process: subprocess.Popen[str], log_path: Path) -> int:
    """Return the port once it takes connections; the listening line names it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log_path.read_text()
        first, end, _ = log_path.read_text().partition("\n")
        if end:
            return int(json.loads(first)["url"].rpartition(":")[2])
        os.sched_yield()
    raise AssertionError(log_path.read_text())


@pytest.fixture
def served(index_dir: Path, tmp_path: Path) -> Iterator[Served]:
    """Serve the index."""
    with _serve(index_dir, tmp_path / "log") as served:
        yield served


def test_process_answers_soon_after_its_start(
    index_dir: Path, tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    """This ensures that the first answer comes within seconds of starting the process."""
    started = time.monotonic()

    with _serve(index_dir, tmp_path / "log") as served:
        status, body = served.ask("/v1/ask", {"question": QUESTION})
        took_s = time.monotonic() - started

    record_property("seconds_to_first_answer", round(took_s, 2))
    sys.stdout.write(f"first answer after {took_s:.2f} s\n")
    assert status == 200
    assert json.loads(body)["passages"][0]["document"]["id"] == "withdrawal.txt"
    assert took_s < READY_WITHIN_S


def test_reply_is_proven_by_the_script(served: Served, tmp_path: Path) -> None:
    """This ensures that a saved reply is re-proved against the served texts by the stand-alone script."""
    (tmp_path / "reply.json").write_bytes(served.ask("/v1/ask", {"question": QUESTION})[1])

    proven = subprocess.run(
        [sys.executable, "-I", prove.__file__, str(tmp_path / "reply.json"), f"http://127.0.0.1:{served.port}"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (proven.returncode, proven.stderr) == (0, "")
    assert "withdrawal.txt" in proven.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_ends_in_order(served: Served, number: signal.Signals) -> None:
    """This ensures that a signal ends the process with exit code 0, and that nothing asked is in its log."""
    served.ask("/v1/ask", {"question": QUESTION})
    served.ask("/v1/ask", {"question": QUESTION, "top_k": 0})
    served.ask(f"/{CANARY}?q={CANARY}")

    code = served.stop(number)

    events = [line["event"] for line in served.log]
    assert code == 0
    assert events.count("request") == 3
    assert "Application shutdown complete." in events
    assert CANARY not in served.log_path.read_text()
    assert "127.0.0.1" not in "".join(str(line) for line in served.log if line["event"] == "request")


def test_body_over_the_cap_is_refused_on_the_wire(served: Served) -> None:
    """This ensures that a body without a length is cut off at the cap with 413, and the process lives on."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
        connection.sendall(
            b"POST /v1/ask HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(16):
            connection.sendall(b"1000\r\n" + b" " * 4_096 + b"\r\n")
        connection.sendall(b"1\r\n \r\n")
        reply = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert reply.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in reply
    assert served.ask("/v1/health")[0] == 200


def test_process_without_an_index_says_how_to_build_one(tmp_path: Path) -> None:
    """This ensures that serving nothing is possible: health and page say what to do, and the log does."""
    with _serve(tmp_path / "absent", tmp_path / "log") as served:
        health, body = served.ask("/v1/health")
        asked, problem = served.ask("/v1/ask", {"question": "x"})

        assert (health, asked) == (503, 503)
        assert "citewell build" in json.loads(body)["warnings"][0]
        assert "citewell build" in json.loads(problem)["fix"]
        assert any("citewell build" in str(line.get("fix")) for line in served.log)


def test_taken_port_is_wrong_usage(index_dir: Path, tmp_path: Path) -> None:
    """This ensures that a port in use is one plain line with the address, and exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*CITEWELL, "serve", "--port", str(port), "--index-dir", str(index_dir)],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(),
            cwd=tmp_path,
        )

    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_several_workers_answer_and_end(index_dir: Path, tmp_path: Path) -> None:
    """This ensures that --workers 2 answers from worker processes and one signal ends them all."""
    with _serve(index_dir, tmp_path / "log", "--workers", "2") as served:
        answers = [served.ask("/v1/ask", {"question": QUESTION}, timeout_s=60.0)[0] for _ in range(8)]
        code = served.stop()

    opened = [line for line in served.log if line["event"] == "snapshot_opened"]
    assert answers == [200] * 8
    assert code == 0
    assert len(opened) == 2
    assert CANARY not in served.log_path.read_text()


def test_answering_never_imports_torch(index_dir: Path, tmp_path: Path) -> None:
    """This ensures that the code of a serving process answers with onnxruntime alone."""
    code = f"""
import json, sys
from pathlib import Path
from starlette.testclient import TestClient
from service.commands.serving import make_app
from service.environment import load_settings

with TestClient(make_app(load_settings({{"index_dir": {str(index_dir)!r}}}))) as client:
    assert client.post("/v1/ask", json={{"question": {QUESTION!r}}}).json()["passages"]
    assert client.post("/", data={{"question": {QUESTION!r}}}).status_code == 200
loaded = {{name.split(".")[0] for name in sys.modules}}
print(json.dumps(sorted(loaded & {{"torch", "sentence_transformers", "transformers", "onnx", "pypdf", "lxml"}})))
"""

    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize(("is_built", "code"), [(True, 0), (False, 1)])
def test_health_check_of_the_image(is_built: bool, code: int, index_dir: Path, tmp_path: Path) -> None:
    """This ensures that the image's health check passes for a process that can answer and fails for one that can't."""
    dockerfile = (Path(__file__).parents[2] / "Dockerfile").read_text("utf-8")
    written = re.search(r"HEALTHCHECK .*\\\n\s+CMD (\[.*\])", dockerfile)
    assert written is not None
    _, *arguments = json.loads(written.group(1))

    with _serve(index_dir if is_built else tmp_path / "absent", tmp_path / "log") as served:
        here = [argument.replace(":8000/", f":{served.port}/") for argument in arguments]
        done = subprocess.run([sys.executable, *here], check=False, capture_output=True, timeout=60)

    assert done.returncode == code
    assert here != arguments


def test_serving_set_is_enough(index_dir: Path, tmp_path: Path) -> None:
    """This ensures that answering needs nothing but the dependency group that the serving image is made of."""
    groups = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    # The test client is the test's own.
    allowed = _with_dependencies([*groups["serve"], "httpx2"])
    code = f"""
import json, sys
from importlib.abc import MetaPathFinder
from importlib.metadata import packages_distributions

allowed = set({sorted(allowed)!r})
others = {{name for name, owners in packages_distributions().items() if not allowed & {{o.lower().replace("_", "-")
          for o in owners}}}} - {{"ingest", "index", "service"}}

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in others:
            raise ModuleNotFoundError(f"not in the serving set: {{name}}", name=name)

sys.meta_path.insert(0, Absent())
from starlette.testclient import TestClient
from service.cli import run
from service.commands.serving import make_app
from service.environment import load_settings

with TestClient(make_app(load_settings({{"index_dir": {str(index_dir)!r}, "gap_report": True,
                        "admin_tokens": ["{"0" * 64}"]}}))) as client:
    assert client.post("/v1/ask", json={{"question": {QUESTION!r}, "explain": True}}).json()["passages"]
    for path in ("/", "/documents/naloxone.md", "/v1/documents", "/v1/health", "/openapi.json"):
        assert client.get(path).status_code == 200, path
    assert client.post("/", data={{"question": {QUESTION!r}}}).status_code == 200
assert run(["snapshots", "--index-dir", {str(index_dir)!r}]) == 0
assert run(["verify", "--index-dir", {str(index_dir)!r}]) == 0
print("torch" in others, "pypdf" in others, "lxml" in others)
"""

    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True True True"


def _with_dependencies(requirements: list[str]) -> set[str]:
    """Return the names of distributions that these need, themselves among them, as installed here."""
    found: set[str] = set()
    waiting = [(requirement, "") for requirement in requirements]
    while waiting:
        text, extra = waiting.pop()
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name not in found:
            found.add(name)
            needed = importlib.metadata.requires(requirement.name) or []
            waiting += [(text, extra) for text in needed for extra in ("", *requirement.extras)]
    return found
