"""A serving process that ends, or loses a worker, while people ask: nobody who was let in is dropped."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from serving import Server, build_index, serving

QUESTION = "when does heroin withdrawal start"
BODY = json.dumps({"question": QUESTION}).encode()
HEAD = b"POST /v1/ask HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n"
NO_LIMIT = {"CITEWELL_RATE_LIMIT": "off"}


@pytest.fixture(scope="module")
def index_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a small index."""
    return build_index(tmp_path_factory.mktemp("shutdown"))


class Load:
    """Clients that ask without a pause, each request on its own connection or on one that is kept open."""

    def __init__(self, server: Server, n_clients: int, *, keeps_open: bool = False) -> None:
        self._port = server.port
        self._stop = threading.Event()
        self.outcomes: Counter[str] = Counter()
        run = self._keep_asking if keeps_open else self._ask_anew
        self._threads = [threading.Thread(target=run) for _ in range(n_clients)]
        for thread in self._threads:
            thread.start()

    def end(self) -> Counter[str]:
        """Stop the clients; return how often each outcome was met."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        return self.outcomes

    def _ask_anew(self) -> None:
        while not self._stop.is_set():
            try:
                connection = socket.create_connection(("127.0.0.1", self._port), timeout=60)
            except OSError:
                self.outcomes["refused"] += 1
                time.sleep(0.01)
                continue
            with connection:
                self.outcomes[self._exchange(connection, close=True)] += 1

    def _keep_asking(self) -> None:
        while not self._stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            try:
                connection.connect()
            except OSError:
                self.outcomes["refused"] += 1
                time.sleep(0.01)
                continue
            with contextlib.closing(connection):
                is_open = True
                while is_open and not self._stop.is_set():
                    try:
                        connection.request("POST", "/v1/ask", BODY, {"content-type": "application/json"})
                        reply = connection.getresponse()
                        reply.read()
                        self.outcomes[str(reply.status)] += 1
                        is_open = not reply.will_close
                    except (OSError, http.client.HTTPException):
                        self.outcomes["dropped"] += 1
                        is_open = False

    @staticmethod
    def _exchange(connection: socket.socket, *, close: bool) -> str:
        try:
            connection.sendall(HEAD % (len(BODY), b"Connection: close\r\n" if close else b"") + BODY)
            reply = b"".join(iter(lambda: connection.recv(65_536), b""))
        except OSError:
            return "dropped"
        return reply[9:12].decode() or "dropped"


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("keeps_open", [False, True])
def test_nobody_is_dropped_when_it_ends(index_dir: Path, tmp_path: Path, workers: str, keeps_open: bool) -> None:
    """This ensures that under load a SIGTERM lets everybody through who was let in, and refuses who comes later."""
    with serving(index_dir, tmp_path, "--workers", workers, **NO_LIMIT) as server:
        load = Load(server, 6, keeps_open=keeps_open)
        server.wait_until(lambda: load.outcomes["200"] > 50)
        answered_before = load.outcomes["200"]
        code = server.stop()
        outcomes = load.end()

    assert code == 0
    assert outcomes["dropped"] == 0, outcomes
    assert set(outcomes) - {"200", "refused", "dropped"} == set()
    assert outcomes["200"] > answered_before
    assert outcomes["refused"] > 0


def test_unready_comes_first_then_the_end(index_dir: Path, tmp_path: Path) -> None:
    """This ensures that a load balancer sees 503 while questions are still answered, and that liveness stays."""
    with serving(index_dir, tmp_path, CITEWELL_DRAIN_S="4") as server:
        assert server.send("/v1/health/ready").status == 200
        server.process.send_signal(signal.SIGTERM)
        server.wait_until(lambda: server.send("/v1/health/ready").status == 503, within_s=3)
        ready = server.send("/v1/health/ready")
        live, asked = server.send("/v1/health/live"), server.ask(QUESTION)
        code = server.process.wait(timeout=60)

    assert (ready.status, live.status, asked.status) == (503, 200, 200)
    assert ready.json()["ready"] is False
    assert asked.headers["connection"] == "close"
    assert code == 0


def test_who_was_let_in_and_is_slow_to_speak_is_heard(index_dir: Path, tmp_path: Path) -> None:
    """This ensures that a connection without a request yet is not closed in somebody's face."""
    with serving(index_dir, tmp_path, CITEWELL_DRAIN_S="0.5") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            server.process.send_signal(signal.SIGTERM)
            server.wait_until(lambda: any(e["event"] == "Shutting down" for e in server.events()) or _refuses(server))
            connection.sendall(HEAD % (len(BODY), b"") + BODY)
            reply = b"".join(iter(lambda: connection.recv(65_536), b""))
        code = server.process.wait(timeout=60)

    assert reply.startswith(b"HTTP/1.1 200 ")
    assert code == 0


def _refuses(server: Server) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_killed_worker_comes_back(index_dir: Path, tmp_path: Path) -> None:
    """This ensures that a worker killed under load costs what it was answering and no more, and is replaced."""
    n_clients = 4
    with serving(index_dir, tmp_path, "--workers", "2", **NO_LIMIT) as server:
        server.wait_until(lambda: len(server.workers()) == 2)
        load = Load(server, n_clients)
        server.wait_until(lambda: load.outcomes["200"] > 50)
        before = server.workers()
        os.kill(before[0], signal.SIGKILL)
        server.wait_until(lambda: len(set(server.workers()) - set(before)) == 1)
        new = (set(server.workers()) - set(before)).pop()
        opened = lambda: sum(e["event"] == "snapshot_opened" for e in server.events())  # noqa: E731
        server.wait_until(lambda: opened() == 3)
        enough = load.outcomes["200"] + 50
        server.wait_until(lambda: load.outcomes["200"] > enough)
        outcomes = load.end()
        workers, metrics = server.workers(), server.send("/metrics").body.decode()
        code = server.stop()

    assert new in workers
    assert outcomes["dropped"] <= n_clients, outcomes
    assert set(outcomes) <= {"200", "dropped"}
    assert any(event["event"] == "worker_died" for event in server.events())
    # What the dead worker had counted is still counted.
    counted = float(metrics.partition('citewell_answers_total{outcome="answered",reason=""} ')[2].split()[0])
    assert counted >= outcomes["200"]
    assert code == 0
