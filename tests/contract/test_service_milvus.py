"""The service over Milvus: without it at the start, losing it, finding it again, and what leaves the process."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
from milvus_support import Milvus, running_milvus
from service_support import hashing_encoder
from starlette.testclient import TestClient

from index.milvus_client import MilvusServer
from index.testing import write_tiny_snapshot
from service.app import create_app
from service.cli import run
from service.engines import opened_index
from service.logs import configure_logging
from service.runtime import open_live
from service.settings import Settings

ROOT = Path(__file__).parents[2]
CANARY = "canary7f3a"
DANGER = "my friend took too much heroin and is not breathing"


@pytest.fixture(autouse=True)
def _real_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Milvus]:
    """Run a server that tests may kill."""
    with running_milvus(tmp_path_factory.mktemp("mortal")) as milvus:
        yield milvus


def settings_for(folder: Path, milvus: Milvus, **more: object) -> Settings:
    values = {
        "engine": "milvus",
        "milvus_uri": milvus.uri,
        "milvus_timeout_s": 2.0,
        "index_dir": folder / "index",
        "notices": ROOT / "corpus/notices.toml",
        "min_confidence": 0.0,
        "rate_limit": "",
        "refresh_s": 0.1,
    }
    return Settings(**{**values, **more})


@contextmanager
def serving(settings: Settings) -> Iterator[TestClient]:
    app = create_app(settings, open_live(settings, hashing_encoder), hashing_encoder)
    with TestClient(app, follow_redirects=False) as client:
        yield client


def build(settings: Settings) -> None:
    with opened_index(settings) as index_dir:
        write_tiny_snapshot(index_dir)


def ask(client: TestClient, question: str = "naloxone") -> tuple[int, dict[str, object]]:
    response = client.post("/v1/ask", json={"question": question})
    return response.status_code, response.json()


def answered_within(client: TestClient, within_s: float) -> bool:
    """Ask again and again, as people would, until there is an answer."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if ask(client)[0] == 200:
            return True
        time.sleep(0.1)
    return False


def test_without_milvus_at_the_start(mortal: Milvus, tmp_path: Path) -> None:
    """This ensures that a service starts, says what is wrong, serves notices, and answers once Milvus is there."""
    settings = settings_for(tmp_path, mortal)
    build(settings)
    mortal.kill()
    try:
        with serving(settings) as client:
            health = client.get("/v1/health")
            status, problem = ask(client)
            danger = ask(client, DANGER)
            mortal.start()
            is_answered = answered_within(client, 60.0)
            after = client.get("/v1/health").json()
    finally:
        mortal.kill()
        mortal.start()

    assert health.status_code == 503
    assert health.json()["engine"] == {"name": "milvus", "reachable": False}
    assert any("Milvus server can't be reached" in warning for warning in health.json()["warnings"])
    assert (status, problem["code"]) == (503, "engine_unreachable")
    assert "milvus_uri" in str(problem["fix"])
    assert danger[0] == 200
    assert danger[1]["notices"]
    assert is_answered
    assert after["engine"] == {"name": "milvus", "reachable": True}
    assert after["ready"]


def test_losing_milvus_while_serving(mortal: Milvus, tmp_path: Path) -> None:
    """This ensures that questions get a clear error in bounded time, documents are served on, and all comes back."""
    settings = settings_for(tmp_path, mortal)
    build(settings)
    with serving(settings) as client:
        before = ask(client)
        mortal.kill()
        started = time.monotonic()
        status, problem = ask(client)
        took_s = time.monotonic() - started
        danger = ask(client, DANGER)
        documents = client.get("/v1/documents").status_code
        health = client.get("/v1/health")
        mortal.start()
        is_answered = answered_within(client, 60.0)
        after = ask(client)

    assert before[0] == after[0] == 200
    assert before[1]["passages"] == after[1]["passages"]
    assert (status, problem["code"]) == (503, "engine_unreachable")
    assert took_s < 2 * settings.milvus_timeout_s + 1.0
    assert danger[0] == 200
    assert danger[1]["notices"]
    assert documents == 200
    assert (health.status_code, health.json()["engine"]["reachable"]) == (200, False)
    assert any("does not answer" in warning for warning in health.json()["warnings"])
    assert is_answered


def test_a_question_leaves_no_trace_and_no_words(
    mortal: Milvus, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that no log, error or call to Milvus holds a word of a question, answered, failed or timed out."""
    configure_logging("debug")
    settings = settings_for(tmp_path, mortal, milvus_timeout_s=1.0, milvus_token="secret9d1c")
    build(settings)
    sent: list[str] = []
    call = MilvusServer._call

    def listening(self: MilvusServer, method: str, *arguments: object, **options: object) -> object:
        sent.append(repr((method, arguments, options)))
        return call(self, method, *arguments, **options)

    monkeypatch.setattr(MilvusServer, "_call", listening)
    bodies = []
    with serving(settings) as client:
        asked = {"question": f"naloxone {CANARY}", "filters": {"tags": [CANARY], "publisher": [f'"{CANARY}']}}
        bodies.append(client.post("/v1/ask", json={"question": f"{CANARY} naloxone {CANARY}"}))
        bodies.append(client.post("/v1/ask", json=asked))
        with mortal.frozen():
            bodies.append(client.post("/v1/ask", json=asked))
        mortal.kill()
        bodies.append(client.post("/v1/ask", json={"question": CANARY}))
        bodies.append(client.post("/", data={"question": f"{CANARY} naloxone"}))
        mortal.start()
    captured = capfd.readouterr()

    assert [body.status_code for body in bodies[:4]] == [200, 200, 503, 503]
    everything = captured.out + captured.err + "".join(sent) + "".join(body.text for body in bodies[:4])
    assert CANARY not in everything
    assert "secret9d1c" not in everything + json.dumps([dict(body.headers) for body in bodies])
    assert any('"search"' in text or "'search'" in text for text in sent)
    assert "pymilvus" not in captured.err


def test_the_command_line_over_milvus(
    mortal: Milvus, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that verify, snapshots and rollback work by the settings alone, and say what is out of reach."""
    settings = settings_for(tmp_path, mortal)
    build(settings)
    build(settings)
    for name in ("engine", "milvus_uri", "milvus_timeout_s"):
        monkeypatch.setenv(f"CITEWELL_{name.upper()}", str(getattr(settings, name)))
    at = ["--index-dir", str(settings.index_dir)]

    codes = [run(["verify", *at]), run(["snapshots", *at]), run(["rollback", *at]), run(["verify", *at])]
    mortal.kill()
    failed = [run(["verify", *at]), run(["rollback", *at]), run(["ask", CANARY, *at])]
    mortal.start()

    captured = capfd.readouterr()
    assert codes == [0, 0, 0, 0]
    assert failed == [1, 1, 1]
    assert "the Milvus server can't be reached" in captured.err
    assert CANARY not in captured.out + captured.err
