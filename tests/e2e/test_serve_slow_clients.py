"""Clients that send slowly, or never end: they are cut off, and nobody else notices."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Server, build_index, serving

NOTICES = Path(__file__).parents[2] / "corpus" / "notices.toml"
TIMEOUT_S = 1.0
HEAD = b"POST /v1/ask HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
DANGER = b'{"question": "my brother is not breathing and his lips are blue'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve a small index with short times."""
    folder = tmp_path_factory.mktemp("slow")
    variables = {"CITEWELL_BODY_TIMEOUT_S": str(TIMEOUT_S), "CITEWELL_NOTICES": str(NOTICES)}
    with serving(build_index(folder), folder / "served", **variables) as server:
        yield server


def trickle(server: Server, begun: bytes, drop: bytes) -> tuple[bytes, float]:
    """Send a beginning and then a drop at a time until the server ends the connection; return its words, seconds."""
    started, reply = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.1) as connection:
        try:
            connection.sendall(begun)
            while time.monotonic() - started < 30:
                if drop:
                    connection.sendall(drop)
                try:
                    received = connection.recv(65_536)
                except TimeoutError:
                    continue
                if not received:
                    break
                reply += received
        except OSError:
            pass
    return reply, time.monotonic() - started


@pytest.mark.parametrize(
    ("begun", "drop"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b""),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"a: b\r\n"),
        (b"GET /v1/health/live HTTP/1.1\r\nHost: x\r\n\r\nGET / HT", b"T"),
    ],
    ids=["silent", "half a head", "endless head", "endless second head"],
)
def test_slow_head_is_cut_off(served: Server, begun: bytes, drop: bytes) -> None:
    """This ensures that a connection whose request never begins is closed in time, however busy it keeps."""
    _, took_s = trickle(served, begun, drop)

    assert TIMEOUT_S * 0.8 <= took_s < TIMEOUT_S + 8
    assert served.send("/v1/health/live").status == 200


@pytest.mark.parametrize("drop", [b"", b"."], ids=["stops", "trickles"])
def test_slow_body_is_cut_off_with_its_notice(served: Server, drop: bytes) -> None:
    """This ensures that an endless body ends in 408, and that what had come of it still brings the notice."""
    reply, took_s = trickle(served, HEAD + DANGER, drop)

    assert reply.startswith(b"HTTP/1.1 408 ")
    assert b"body_too_slow" in reply
    assert b'"id":"overdose"' in reply
    assert b"connection: close" in reply.lower()
    assert TIMEOUT_S * 0.8 <= took_s < TIMEOUT_S + 8


def test_many_slow_clients_hold_nobody_up(served: Server) -> None:
    """This ensures that 200 connections that send nothing leave a question as quick as before, and are gone soon."""
    slow = [socket.create_connection(("127.0.0.1", served.port), timeout=30) for _ in range(200)]
    try:
        for connection in slow[:100]:
            connection.sendall(HEAD + DANGER)
        started = time.monotonic()
        status = served.ask("how is methadone taken").status
        took_s = time.monotonic() - started
        ended = [connection.recv(65_536)[9:12] for connection in slow[:100]]
        closed = [_is_closed(connection) for connection in slow[100:]]
    finally:
        for connection in slow:
            connection.close()

    assert status == 200
    assert took_s < 5
    assert ended == [b"408"] * 100
    assert all(closed)


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
