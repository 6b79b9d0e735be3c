"""
A canary for a question, through everything that can happen to a real service of two processes; then it is looked for.

The index and the working directory are the service's own, so that every file in them is one that it wrote or read.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import resource
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from serving import Reply, Server, build_index, serving

CANARY = "Zqcanary7f3axx"
QUESTION = f"when does heroin withdrawal start, asks {CANARY} Müller"
DANGER = f"{CANARY} is not breathing and the lips are blue"
OFF_TOPIC = f"{CANARY} xylophone tuning for barns"
NOTICES = Path(__file__).parents[2] / "corpus" / "notices.toml"
FORM = {"content-type": "application/x-www-form-urlencoded"}
BROWSER = {**FORM, "accept": "text/html"}
ORIGIN = {"origin": "https://site.example"}


def disguises(text: str) -> dict[str, bytes]:
    """Return what a text may look like where somebody kept it, by the name of the disguise; all lower case."""
    found = {
        "as it is": text.encode(),
        "in an address": quote(text).encode(),
        "in a form": quote_plus(text).encode(),
        "as JSON": json.dumps(text).strip('"').encode(),
        "UTF-16": text.encode("utf-16-le"),
        "UTF-16, big": text.encode("utf-16-be"),
        "hex": text.encode().hex().encode(),
        "reversed": text[::-1].encode(),
    }
    for name in ("md5", "sha1", "sha256", "sha512", "blake2b"):
        for form in {text, text.lower(), text.strip()}:
            digest = hashlib.new(name, form.encode())
            found[f"{name} {form != text}"] = digest.hexdigest()[:32].encode()
            found[f"{name}, raw {form != text}"] = digest.digest()[:16]
            found[f"{name}, base64 {form != text}"] = base64.b64encode(digest.digest())[:20]
    for shift in range(3):  # base64 of a longer text that holds it at any place
        encoded = base64.b64encode(b"\0" * shift + text.encode())
        found[f"base64 {shift}"] = encoded[4 if shift else 0 : -4]
    return {name: form.lower() for name, form in found.items()}


NEEDLES = {f"{n}: {name}": form for n, t in enumerate((CANARY, QUESTION, DANGER, OFF_TOPIC)) for name, form in
           disguises(t).items()}  # fmt: skip


def traces(content: bytes) -> list[str]:
    """Return the disguises in which a canary is in some bytes, whatever their case."""
    lowered = content.lower()
    return [name for name, form in NEEDLES.items() if form in lowered]


@dataclass
class Journey:
    """What the service was sent, and what came back."""

    server: Server
    statuses: dict[str, int] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)

    def send(self, name: str, path: str, body: object = None, **options: object) -> Reply:
        """Send one request and remember the reply under a name."""
        reply = self.server.send(path, body, **options)
        self.statuses[name] = reply.status
        self.replies.append(reply)
        return reply


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with an index, a working directory and a place for temporary files."""
    for name in ("served", "tmp"):
        (tmp_path / name).mkdir()
    build_index(tmp_path)
    return tmp_path


def _settings(folder: Path, **more: str) -> dict[str, str]:
    return {
        "TMPDIR": str(folder / "tmp"),
        "HOME": str(folder / "served"),
        "CITEWELL_NOTICES": str(NOTICES),
        "CITEWELL_LOG_LEVEL": "debug",
        "CITEWELL_CORS_ORIGINS": "https://site.example",
        "CITEWELL_REFRESH_S": "0.2",
        **more,
    }


def _sums(folder: Path) -> dict[Path, str]:
    """Return the SHA-256 of every file below a folder."""
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


def _written(folder: Path, before: dict[Path, str]) -> Iterator[tuple[Path, bytes]]:
    """Yield every file that is new or has changed, the streams and the logs among them."""
    for path, digest in sorted(_sums(folder).items()):
        if before.get(path) != digest:
            yield path, path.read_bytes()


def _answers_and_refusals(journey: Journey) -> None:
    long, huge = f"{QUESTION} " * 200, f"{QUESTION} " * 3_000
    journey.send("answer", "/v1/ask", {"question": QUESTION}, headers=ORIGIN)
    journey.send("abstention", "/v1/ask", {"question": OFF_TOPIC})
    journey.send("notice", "/v1/ask", {"question": DANGER})
    journey.send("page", "/", f"question={quote_plus(QUESTION)}", headers=BROWSER)
    journey.send("404", f"/{CANARY}?q={CANARY}")
    journey.send("404 document", f"/v1/documents/{CANARY}")
    journey.send("405", "/v1/ask", {"question": QUESTION}, method="PUT")
    journey.send("413", "/v1/ask", {"question": huge})
    journey.send("415", "/v1/ask", QUESTION.encode(), headers={"content-type": f"text/{CANARY}"})
    journey.send("422 too long", "/v1/ask", {"question": long})
    journey.send("422 field", "/v1/ask", {"question": QUESTION, CANARY: 1})
    journey.send("422 form", "/", f"{CANARY}={CANARY}", headers=BROWSER)
    journey.send("422 JSON", "/v1/ask", f'{{"question": "{QUESTION}'.encode())
    journey.send("preflight", "/v1/ask", method="OPTIONS", headers={"origin": f"https://{CANARY}.example"})
    journey.send("id", "/v1/health", headers={"x-request-id": f"{CANARY} ?", "user-agent": CANARY, "referer": CANARY})


def _slow(server: Server) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        head = b"POST /v1/ask HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
        connection.sendall(head + f'{{"question": "{QUESTION}'.encode())
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def _hang_up(server: Server) -> None:
    """Leave in the middle of a body, and before the answer; and send what is no HTTP at all."""
    body = json.dumps({"question": QUESTION}).encode()
    head = b"POST /v1/ask HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
        body
    )
    for sent in (
        head + body[:20],
        head + body,
        CANARY.encode() + b"\r\n\r\n",
        b"GET /" + b"\xff" * 9 + b" HTTP/9\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(sent)


def _kill_one_while_it_answers(server: Server) -> None:
    before = server.workers()
    body = json.dumps({"question": QUESTION}).encode()
    head = b"POST /v1/ask HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
        body
    )
    with contextlib.ExitStack() as opened:
        for _ in range(20):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            connection.sendall(head + body)
        # SIGABRT would leave a memory dump, if any were allowed; SIGKILL leaves no chance to clean up.
        os.kill(before[0], signal.SIGABRT)
        os.kill(before[1], signal.SIGKILL)
    server.wait_until(lambda: len(set(server.workers()) - set(before)) == 2)
    server.wait_until(lambda: server.send("/v1/health/ready").status == 200)


def _damage(folder: Path) -> None:
    """Cut off the evidence vectors, which are read anew for each question: answering then fails."""
    (path,) = (folder / "index" / "snapshots").glob("*/evidence.npy")
    os.truncate(path, path.stat().st_size // 8)


def _core_limit(pid: int) -> str:
    return re.search(r"Max core file size\s+(\S+)\s+(\S+)", Path(f"/proc/{pid}/limits").read_text()).groups()


def test_canary_is_nowhere(folder: Path) -> None:
    """This ensures that a question leaves no trace in streams, files, figures, headers or errors, come what may."""
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    before = _sums(folder)
    settings = _settings(folder, CITEWELL_RATE_LIMIT="40/minute", CITEWELL_BODY_TIMEOUT_S="1")
    with serving(folder / "index", folder / "served", "--workers", "2", **settings) as server:
        server.wait_until(lambda: len(server.workers()) == 2)
        journey = Journey(server)
        core_limits = {_core_limit(pid) for pid in (server.process.pid, *server.workers())}
        _answers_and_refusals(journey)
        slow = _slow(server)
        _hang_up(server)
        _kill_one_while_it_answers(server)
        for n in range(120):
            if journey.send(f"limited {n}", "/v1/ask", {"question": QUESTION}).status == 429:
                break
        while_it_runs = dict(_written(folder / "tmp", {}))
        metrics = journey.send("metrics", "/metrics")
        code = server.stop()
        streams = server.output().encode()

    statuses = journey.statuses
    assert code == 0
    assert (statuses["answer"], statuses["abstention"], statuses["notice"], statuses["page"]) == (200, 200, 200, 200)
    assert {statuses[n] for n in ("404", "404 document", "405", "413", "415")} == {404, 405, 413, 415}
    assert {statuses[n] for n in statuses if n.startswith("422")} == {422}
    assert 429 in statuses.values()
    assert slow.startswith(b"HTTP/1.1 408 ")
    assert core_limits == {("0", "0")}
    assert b"worker_died" in streams
    # That the search finds what is there: the notice and the route of the journey.
    assert b"/v1/ask" in streams
    assert b'notice="overdose"' in metrics.body
    assert while_it_runs, "the workers' figures are files, and must be looked through"
    assert traces(streams) == []
    assert traces(slow) == []
    assert {path: traces(content) for path, content in while_it_runs.items() if traces(content)} == {}
    for reply in journey.replies:
        assert traces(json.dumps(reply.headers).encode()) == []
    for reply in (r for r in journey.replies if r.status >= 400 or r.body == metrics.body):
        assert traces(reply.body) == []
    assert {path: traces(content) for path, content in _written(folder, before) if traces(content)} == {}
    assert [path.name for path in folder.rglob("core*") if path.is_file()] == []
    assert list((folder / "tmp").iterdir()) == []


def test_canary_is_nowhere_when_the_service_fails(folder: Path) -> None:
    """This ensures that a damaged snapshot, no index and being busy (503) repeat nothing either."""
    before = _sums(folder)
    settings = _settings(folder, CITEWELL_RATE_LIMIT="off", CITEWELL_THREADS="1", CITEWELL_MAX_WAITING="0")
    with serving(folder / "index", folder / "served", **settings) as server:
        journey = Journey(server)
        journey.send("before", "/v1/documents")
        _damage(folder)
        for n in range(4):
            journey.send(f"damaged {n}", "/v1/ask", {"question": f"{QUESTION} {n}", "top_k": 3})
        busy = _ask_at_once(server)
        code = server.stop()
        streams = server.output().encode()
    with serving(folder / "absent", folder / "empty", **settings) as server:
        journey.server = server
        journey.send("no index", "/v1/ask", {"question": QUESTION})
        journey.send("no index, page", "/", f"question={quote_plus(QUESTION)}", headers=BROWSER)
        server.stop()
        streams += server.output().encode()

    assert code == 0
    assert {journey.statuses[f"damaged {n}"] for n in range(4)} == {503}
    assert (journey.statuses["no index"], journey.statuses["no index, page"]) == (503, 503)
    assert b"503" in busy
    assert traces(streams) == []
    for reply in journey.replies:
        assert traces(reply.body + json.dumps(reply.headers).encode()) == []
    assert {path: traces(content) for path, content in _written(folder, before) if traces(content)} == {}


def _ask_at_once(server: Server) -> set[bytes]:
    body = json.dumps({"question": QUESTION}).encode()
    head = b"POST /v1/ask HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
        body
    )
    with contextlib.ExitStack() as opened:
        connections = [
            opened.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30)) for _ in range(12)
        ]
        for connection in connections:
            connection.sendall(head + body)
        return {connection.recv(65_536)[9:12] for connection in connections}


@pytest.mark.parametrize("disguise", sorted(disguises(CANARY)))
def test_search_would_find_it(disguise: str, tmp_path: Path) -> None:
    """This ensures that the search of this module finds each disguise, in any case, inside other bytes."""
    path = tmp_path / "file"
    path.write_bytes(b"before \x00" + disguises(CANARY)[disguise].upper() + b"\xff after")

    assert any(name.endswith(disguise) for name in traces(path.read_bytes()))
