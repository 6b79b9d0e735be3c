"""A canary for a question: it must leave no trace in logs, standard error, headers, addresses or error bodies."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from service_support import tiny_client
from starlette.testclient import TestClient

from index.store import IndexDir
from index.testing import write_tiny_snapshot
from service.cli import run
from service.logs import configure_logging

CANARY = "canary7f3a"
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
BROWSER = {**FORM, "accept": "text/html"}


@pytest.fixture(autouse=True)
def _real_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def _crash(question: object, *_: object, **__: object) -> None:
    raise RuntimeError(f"failed on {question!r}")


def _crash_with_a_chain(question: object, *_: object, **__: object) -> None:
    try:
        _crash(question)
    except RuntimeError as error:
        error.add_note(CANARY)
        raise ExceptionGroup(CANARY, [error, ValueError(CANARY)]) from error


REQUESTS: dict[str, Callable[[TestClient], object]] = {
    "question": lambda c: c.post("/v1/ask", json={"question": CANARY}),
    "too long": lambda c: c.post("/v1/ask", json={"question": CANARY * 500}),
    "too large": lambda c: c.post("/v1/ask", json={"question": CANARY * 50_000}),
    "broken json": lambda c: c.post("/v1/ask", content=f'{{"question": "{CANARY}', headers=JSON),
    "not utf-8": lambda c: c.post("/v1/ask", content=CANARY.encode() + b"\xff", headers=JSON),
    "wrong type": lambda c: c.post("/v1/ask", json={"question": [CANARY]}),
    "as a key": lambda c: c.post("/v1/ask", json={CANARY: 1, "question": "x", "filters": {CANARY: {CANARY: 1}}}),
    "as a filter": lambda c: c.post("/v1/ask", json={"question": "x", "filters": {"source_type": [CANARY]}}),
    "as a date": lambda c: c.post("/v1/ask", json={"question": "x", "filters": {"published_after": CANARY}}),
    "as top_k": lambda c: c.post("/v1/ask", json={"question": "x", "top_k": CANARY}),
    "wrong kind": lambda c: c.post("/v1/ask", content=CANARY, headers={"content-type": CANARY}),
    "in the query": lambda c: c.get("/v1/ask", params={"question": CANARY}),
    "as a parameter": lambda c: c.get("/v1/documents", params={CANARY: CANARY, "limit": CANARY}),
    "in the path": lambda c: c.get(f"/{CANARY}"),
    "as a document": lambda c: c.get(f"/v1/documents/{CANARY}"),
    "as a passage": lambda c: c.get(f"/v1/passages/{CANARY}"),
    "as a page": lambda c: c.get(f"/documents/{CANARY}", headers={"accept": "text/html"}),
    "as a method": lambda c: c.request(CANARY.upper(), "/v1/ask"),
    "as a request id": lambda c: c.get("/v1/health", headers={"x-request-id": f"{CANARY} ?"}),
    "bad form": lambda c: c.post("/", content=f"question={CANARY}&{CANARY}=1", headers=FORM),
    "bad form, page": lambda c: c.post("/", content=f"question={CANARY}&{CANARY}=1", headers=BROWSER),
    "long form, page": lambda c: c.post("/", content=f"question={CANARY * 500}", headers=BROWSER),
}


def _assert_clean(captured: pytest.CaptureFixture[str], response: object, *, is_body_checked: bool = True) -> str:
    log = captured.readouterr()
    everything = log.err + log.out + json.dumps(dict(response.headers))
    if is_body_checked:
        everything += response.text
    assert CANARY.lower() not in everything.lower()
    return log.err


@pytest.mark.parametrize("name", REQUESTS)
def test_request_leaves_no_trace(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """This ensures that nothing of what is asked, well or badly, is logged or sent back in an error."""
    configure_logging("debug")

    with tiny_client(tmp_path) as client:
        response = REQUESTS[name](client)

    log = _assert_clean(capfd, response)
    assert '"event": "request"' in log


@pytest.mark.parametrize("min_confidence", [0.0, 1.0])
def test_form_echoes_the_question_in_its_field_alone(
    min_confidence: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """This ensures that answer and abstention alike show the question once, to who asked, uncached."""
    configure_logging("debug")

    with tiny_client(tmp_path, min_confidence=min_confidence) as client:
        response = client.post("/", data={"question": CANARY})

    _assert_clean(capfd, response, is_body_checked=False)
    assert response.text.count(CANARY) == 1
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("crash", [_crash, _crash_with_a_chain])
@pytest.mark.parametrize("path", ["/v1/ask", "/"])
def test_crash_leaves_no_trace(
    crash: Callable[..., None],
    path: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """This ensures that an exception that quotes the question is logged by type and place alone."""
    configure_logging("debug")
    monkeypatch.setattr("service.runtime.answer_question", crash)

    with tiny_client(tmp_path) as client:
        if path == "/":
            response = client.post(path, data={"question": CANARY}, headers={"accept": "text/html"})
        else:
            response = client.post(path, json={"question": CANARY})

    log = _assert_clean(capfd, response)
    line = next(json.loads(line) for line in log.splitlines() if "unexpected_error" in line)
    assert response.status_code == 500
    assert line["request_id"] == response.headers["x-request-id"]
    assert any("test_service_privacy.py" in frame for frame in line["frames"])


def test_line_of_a_request_has_no_more_than_its_members(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """This ensures that neither address, path nor agent of a client is written."""
    configure_logging()

    with tiny_client(tmp_path) as client:
        client.get("/v1/documents/guides/methadone.md", headers={"user-agent": CANARY, "referer": CANARY})

    (line,) = [json.loads(x) for x in capfd.readouterr().err.splitlines() if '"request"' in x]
    assert set(line) == {"event", "method", "route", "status", "ms", "request_id", "level", "time"}
    assert line["route"] == "/v1/documents/{document_id:path}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask", CANARY],
        ["ask", CANARY, "and", CANARY],
        ["ask", f"--{CANARY}"],
        ["ask", "x", "--top-k", CANARY],
        ["ask", "x", "--source-type", CANARY],
        ["ask", CANARY * 500],
        ["ask", CANARY, "--json"],
        ["ask", CANARY, "--min-confidence", "0"],
    ],
)
def test_command_line_leaves_no_trace(
    arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that standard error and output never repeat a question, with an index or without."""
    monkeypatch.chdir(tmp_path)
    write_tiny_snapshot(IndexDir(tmp_path / "index"))

    for index in ("index", "absent"):
        run([*arguments, "--index-dir", index])

    captured = capfd.readouterr()
    assert CANARY not in captured.err + captured.out


def test_crash_on_the_command_line_leaves_no_trace(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that a crash is reported by type and place, with exit code 1."""
    from index.testing import HashingEmbedder
    from service.commands import asking

    write_tiny_snapshot(IndexDir(tmp_path))
    monkeypatch.setattr(asking, "open_encoder", lambda *_: HashingEmbedder())
    monkeypatch.setattr(asking, "answer_question", _crash)

    code = run(["ask", CANARY, "--index-dir", str(tmp_path)])

    captured = capfd.readouterr()
    assert code == 1
    assert "RuntimeError" in captured.err
    assert CANARY not in captured.err + captured.out
