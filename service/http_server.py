"""
uvicorn as Citewell needs it: no slow head of a request, an orderly end that drops nobody, workers that come back.

The only module that imports uvicorn. Knows no route.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import math
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from typing import Any

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from service.app import DRAINING

BACKLOG = 512
# Connections that were just accepted, or are kept alive, get so long to send what is on its way.
_LINGER_S = 1.0
_TICK_S = 0.05
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h; the standard library has no name for it
_BPF_RETURN = 0x06
# A worker that does not even answer the supervisor, from a thread of its own, for so long is replaced.
_PING_S = 20


class ServerConfig(uvicorn.Config):
    """
    uvicorn's configuration with Citewell's times, in seconds.

    Args:
        make_app: makes the application, in the process that serves.
    """

    def __init__(
        self,
        make_app: Callable[[], Any],
        *,
        workers: int,
        head_timeout_s: float,
        request_timeout_s: float,
        drain_s: float,
    ) -> None:
        super().__init__(
            make_app,
            factory=True,
            workers=workers,
            http=GuardedProtocol,
            # Forwarding headers are `service.client_address`'s: uvicorn believes whoever connects from this machine.
            proxy_headers=False,
            # Its lines hold addresses and paths; `service.edge` writes one without.
            access_log=False,
            log_config=None,
            server_header=False,
            ws="none",
            lifespan="on",
            # Whatever is under way has its error by then.
            timeout_graceful_shutdown=math.ceil(request_timeout_s) + 1,
            timeout_worker_healthcheck=_PING_S,
            backlog=BACKLOG,
        )
        self.head_timeout_s = head_timeout_s
        self.drain_s = drain_s


class GuardedProtocol(H11Protocol):
    """
    uvicorn's HTTP/1.1 with a limit on how long the head of a request may take.

    uvicorn waits for ever for a head that never ends, and for the rest of a body whose request was answered already.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Start the clock: a head has to come."""
        self._head_timer: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Stop the clock once a request has begun, start it where none has."""
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """Start the clock for the next request of this connection."""
        super().on_response_complete()
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def _watch_head(self) -> None:
        is_under_way = self.cycle is not None and not self.cycle.response_complete
        if is_under_way or self.transport.is_closing():
            self._stop_clock()
        elif self._head_timer is None and isinstance(self.config, ServerConfig):
            # Never started anew by what trickles in: that is what an attacker does.
            self._head_timer = self.loop.call_later(self.config.head_timeout_s, self.transport.abort)

    def _stop_clock(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class DrainingServer(uvicorn.Server):
    """
    A server that ends in order: unready first, then no new connections, then nothing under way, then the end.

    uvicorn alone drops who is in the queue of the listening socket, and who was accepted and has not sent a byte yet.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End. A second SIGINT skips what is left to wait for."""
        self.lifespan.state[DRAINING].set()
        # Who keeps a connection open is asked to open another one, at a process that stays.
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        drain_s = self.config.drain_s if isinstance(self.config, ServerConfig) else 0.0
        await self._wait(drain_s, lambda: False)
        for sock in sockets or []:
            _turn_away(sock)
        waiting = _take_waiting(sockets or [])
        # uvicorn closes them once more, which does nothing.
        for server in self.servers:
            server.close()
        for connection in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        await self._wait(_LINGER_S, lambda: not self.server_state.connections)
        await super().shutdown(sockets)

    async def _wait(self, seconds: float, is_over: Callable[[], bool]) -> None:
        until = time.monotonic() + seconds
        # One more turn of the loop at least: connections accepted in this one are not among the known ones yet.
        await asyncio.sleep(0)
        while time.monotonic() < until and not is_over() and not self.force_exit:
            await asyncio.sleep(_TICK_S)

    def _protocol(self) -> asyncio.Protocol:
        return GuardedProtocol(self.config, self.server_state, self.lifespan.state)


def _turn_away(listening: socket.socket) -> None:
    """
    Let the kernel ignore new connections from now on.

    Between accepting who waits and closing the socket another one may come, who would be told that he is connected and
    then be cut off. Ignored, he tries again within a second and is refused. Only Linux can; elsewhere the gap stays.

    Source: socket(7), SO_ATTACH_FILTER; the filter is one instruction of classic BPF, "return 0": drop the packet.
    """
    if sys.platform == "linux":
        program = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RETURN, 0, 0, 0))
        with contextlib.suppress(OSError):
            listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))


def _take_waiting(listening: Sequence[socket.socket]) -> list[socket.socket]:
    """Accept everybody who waits at the sockets."""
    found: list[socket.socket] = []
    for sock in listening:
        with contextlib.suppress(OSError):  # BlockingIOError: nobody waits any more
            while True:
                connection, _ = sock.accept()
                connection.setblocking(False)
                found.append(connection)
    return found


class _Worker(Process):
    """One serving process; made by the supervisor, its `server` is used in the process itself."""

    @property
    def server(self) -> uvicorn.Server:
        if self._server is None:
            self._server = DrainingServer(self.config)
        return self._server

    def ping(self, timeout: float = _PING_S) -> bool:
        """
        Tell whether the worker answers within so many seconds.

        uvicorn's own waits on the pipe alone, whose other end the supervisor holds too: of a worker that dies between
        a ping and its answer it hears nothing until the time is over.
        """
        try:
            self.parent_conn.send(b"ping")
            wait([self.parent_conn, self.process.sentinel], timeout)
            if not self.parent_conn.poll():
                return False
            self.parent_conn.recv()
        except (OSError, EOFError):
            return False
        return True


class Workers(Multiprocess):
    """
    uvicorn's supervisor of several processes, with servers that end in order.

    Args:
        on_death: called with the process id of a worker that died, before another one takes its place.
    """

    def __init__(self, config: ServerConfig, sockets: list[socket.socket], on_death: Callable[[int], None]) -> None:
        super().__init__(config, sockets)
        self._on_death = on_death

    def init_processes(self) -> None:
        """Start the workers."""
        self.processes = [self._start() for _ in range(self.processes_num)]

    def terminate_all(self) -> None:
        """Ask the workers to end, after letting go of the socket: the last of them closes it with nobody waiting."""
        for sock in self.sockets:
            sock.close()
        super().terminate_all()

    def keep_subprocess_alive(self) -> None:
        """Replace workers that died or hang; one that can't even start ends the service."""
        for place, process in enumerate(self.processes):
            if self.should_exit.is_set() or process.is_alive(timeout=_PING_S):
                continue
            process.kill()
            process.join()
            self._on_death(process.pid or 0)
            log = structlog.get_logger("citewell.serve")
            if process.exitcode == STARTUP_FAILURE:
                log.error("worker_can_t_start", fix="see the lines above")
                self.should_exit.set()
                return
            log.warning("worker_died", exit_code=process.exitcode)
            self.processes[place] = self._start()

    def handle_hup(self) -> None:
        """Do nothing: new snapshots and changed files are noticed without being told."""

    def handle_ttin(self) -> None:
        """Do nothing: the number of workers is a setting."""

    def handle_ttou(self) -> None:
        """Do nothing: the number of workers is a setting."""

    def _start(self) -> Process:
        process = _Worker(self.config, self.sockets)
        process.start()
        return process


def run_here(config: ServerConfig, listening: socket.socket) -> None:
    """Serve in this process until it is told to end."""
    DrainingServer(config).run(sockets=[listening])


def run_workers(config: ServerConfig, listening: socket.socket, on_death: Callable[[int], None]) -> None:
    """Serve in worker processes until this one is told to end."""
    Workers(config, [listening], on_death).run()
