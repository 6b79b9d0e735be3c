"""The stand-alone proof of a saved reply: it accepts what is right and finds every kind of wrong."""

from __future__ import annotations

import ast
import copy
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from service_support import answer_of

from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import tiny_documents, write_tiny_snapshot
from service import prove
from service.schemas import AskResponse


@pytest.fixture
def reply(tmp_path: Path) -> dict[str, Any]:
    """Return a reply, with its documents' texts in `tmp_path / "texts"`."""
    index_dir = IndexDir(tmp_path / "index")
    write_tiny_snapshot(index_dir)
    snapshot = open_snapshot(index_dir)
    sent = AskResponse.from_answer(answer_of(snapshot)).model_dump(mode="json")
    snapshot.close()
    for document, _ in tiny_documents():
        path = tmp_path / "texts" / document.id
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(document.text.encode())
    return sent


def _prove(reply: dict[str, Any], tmp_path: Path) -> int:
    (tmp_path / "reply.json").write_text(json.dumps(reply))
    return prove.main(str(tmp_path / "reply.json"), str(tmp_path / "texts"))


def test_true_reply_is_proven(reply: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that every quote of a reply gets its line and the exit code is 0."""
    code = _prove(reply, tmp_path)

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines == ["guides/methadone.md [12, 70): proven", "guides/naloxone.md [5, 102): proven"]


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another word": lambda p: p.update(text=p["text"].replace("opioid", "opiate")),
    "shifted": lambda p: p.update(start=p["start"] + 1, end=p["end"] + 1),
    "empty": lambda p: p.update(start=p["end"]),
    "negative": lambda p: p.update(start=-1),
    "another hash": lambda p: p["proof"].update(text_sha256="0" * 64),
    "evidence outside": lambda p: p["evidence"][0].update(start=0),
    "evidence reversed": lambda p: p["evidence"][0].update(end=p["evidence"][0]["start"]),
    "segment missing": lambda p: p["segments"].pop(),
    "wrong segment marked": lambda p: p["segments"][0].update(evidence=False),
    "another exact": lambda p: p["citation"]["selectors"][0].update(exact="x"),
    "another prefix": lambda p: p["citation"]["selectors"][0].update(prefix="x"),
    "another suffix": lambda p: p["citation"]["selectors"][0].update(suffix="x"),
    "another position": lambda p: p["citation"]["selectors"][1].update(end=3),
    "no selectors": lambda p: p["citation"].update(selectors=[]),
    "unknown document": lambda p: p["document"].update(id="absent.md"),
    "another document": lambda p: p["document"].update(id="guides/naloxone.md"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lie_is_found(lie: str, reply: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that each thing a quote claims is really looked at."""
    LIES[lie](reply["passages"][0])

    code = _prove(reply, tmp_path)

    first, second = capsys.readouterr().out.splitlines()
    assert code == 1
    assert "NOT PROVEN" in first
    assert second.endswith(": proven")


def test_nearest_passages_are_looked_at(reply: dict[str, Any], tmp_path: Path) -> None:
    """This ensures that what an abstention shows is held to the same."""
    wrong = copy.deepcopy(reply["passages"][0])
    wrong["text"] = "invented"
    reply["nearest"] = [wrong]

    assert _prove(reply, tmp_path) == 1


@pytest.fixture
def texts_address(reply: dict[str, Any], tmp_path: Path) -> Iterator[str]:
    """Serve the texts as the API does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = unquote(self.path.removeprefix("/v1/documents/").removesuffix("/text"))
            body = (tmp_path / "texts" / name).read_bytes()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_texts_can_come_from_the_service(reply: dict[str, Any], texts_address: str, tmp_path: Path) -> None:
    """This ensures that the script runs by itself, as a file, against an address."""
    (tmp_path / "reply.json").write_text(json.dumps(reply))

    done = subprocess.run(
        [sys.executable, "-I", prove.__file__, str(tmp_path / "reply.json"), texts_address],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(": proven") == 2


def test_wrong_usage_is_said() -> None:
    """This ensures that a missing argument prints the usage and exits with 1."""
    done = subprocess.run(
        [sys.executable, "-I", prove.__file__], check=False, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 1
    assert "usage" in done.stderr


def test_script_needs_nothing_but_python() -> None:
    """This ensures that a doubter can read and run the script without installing anything."""
    source = Path(prove.__file__).read_text()
    imported = {
        (node.module or "").split(".")[0] if isinstance(node, ast.ImportFrom) else alias.name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    assert imported <= sys.stdlib_module_names
    assert len(source.splitlines()) <= 60
