"""A real Milvus server, milvus-lite's, in a process of its own on loopback: started, killed, frozen, started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from index.engine import Engine
from index.milvus_client import Connection
from index.milvus_engine import MilvusEngine
from index.store import IndexDir

_STARTS_WITHIN_S = 60.0


@dataclass
class Milvus:
    """One server; its data outlive its process."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def uri(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        # By default it would listen on every address.
        command = ["-m", "milvus_lite", "server", "--data-dir", str(self.folder), "--host", "127.0.0.1"]
        self.process = subprocess.Popen(
            [sys.executable, *command, "--port", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if not name.startswith("CITEWELL_")},
        )
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, "the Milvus server ended at once"
            time.sleep(0.05)
        raise AssertionError("the Milvus server does not listen")

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it answer nobody for the block, with its connections open."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def engine(self, index_dir: Path, timeout_s: float = 20.0, token: str = "", index: str = "FLAT") -> MilvusEngine:
        """Return an engine of this server for an index folder."""
        return MilvusEngine(index_dir, Connection(self.uri, token, timeout_s), index)

    def index_dir(self, path: Path, timeout_s: float = 20.0) -> IndexDir:
        """Return an index folder whose passages are kept here."""
        return IndexDir(path, engine=self.engine(path, timeout_s))

    def names(self) -> list[str]:
        """Return the names of all collections."""
        from index.milvus_client import MilvusServer

        server = MilvusServer(Connection(self.uri, timeout_s=20.0))
        try:
            return server.names()
        finally:
            server.close()


def wait_for(engine: Engine, within_s: float = 60.0) -> None:
    """Wait until an engine has found its server again, by itself."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        engine.ping()
        if engine.is_reachable:
            return
        time.sleep(0.05)
    raise AssertionError("the engine did not find its server again")


@contextmanager
def running_milvus(folder: Path) -> Iterator[Milvus]:
    """Run a server for the block."""
    milvus = Milvus(folder, free_port())
    milvus.start()
    try:
        yield milvus
    finally:
        milvus.kill()


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
