"""The application on a real port of this machine, with a small index and without a model, for browsers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from service_support import hashing_encoder

from index.live import LiveSnapshot
from index.store import IndexDir
from index.testing import Library, write_tiny_snapshot
from service.app import create_app
from service.settings import Settings


@contextmanager
def served(folder: Path, library: Library | None = None, *, is_built: bool = True, **settings: object) -> Iterator[str]:
    """Serve a tiny snapshot from a thread; gives the origin, such as "http://127.0.0.1:40123"."""
    index_dir = IndexDir(folder / "index")
    if is_built:
        write_tiny_snapshot(index_dir, library)
    chosen = Settings(index_dir=index_dir.path, **{"min_confidence": 0.0, **settings})  # type: ignore[arg-type]
    app = create_app(chosen, LiveSnapshot(index_dir), hashing_encoder)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
