"""A snapshot of which any file is damaged, met by a running service: refused, named, and the old one still served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from service_support import hashing_encoder
from starlette.testclient import TestClient

from index.live import LiveSnapshot
from index.manifest import MANIFEST_FILE
from index.store import IndexDir
from index.testing import write_tiny_snapshot
from service.app import create_app
from service.settings import Settings


@pytest.fixture
def index_dir(tmp_path: Path) -> IndexDir:
    """Return an index with one snapshot."""
    index_dir = IndexDir(tmp_path / "index")
    write_tiny_snapshot(index_dir)
    return index_dir


@pytest.fixture
def live(index_dir: IndexDir) -> LiveSnapshot:
    """Return what the service answers from; the test says when it looks."""
    return LiveSnapshot(index_dir, retry_after_s=0.0)


@pytest.fixture
def client(index_dir: IndexDir, live: LiveSnapshot) -> Iterator[TestClient]:
    """Serve it."""
    settings = Settings(index_dir=index_dir.path, min_confidence=0.0, refresh_s=3_600)
    with TestClient(create_app(settings, live, hashing_encoder)) as client:
        yield client


def test_one_byte_of_any_file(index_dir: IndexDir, live: LiveSnapshot, client: TestClient) -> None:
    """This ensures that a flipped byte in each file of a new snapshot keeps the old one and is named in health."""
    old = live.snapshot_id
    new = index_dir.snapshot_path(write_tiny_snapshot(index_dir))
    files = sorted(path for path in new.rglob("*") if path.is_file() and path.stat().st_size)
    expected = client.post("/v1/ask", json={"question": "methadone"}).json()["passages"]

    for path in files:
        content = path.read_bytes()
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        switched = live.refresh()
        health = client.get("/v1/health").json()
        answered = client.post("/v1/ask", json={"question": "methadone"}).json()
        path.write_bytes(content)

        assert not switched, path.name
        assert health["ready"] is True
        assert health["snapshot"]["id"] == old
        assert health["last_reload_error"]["code"] in ("snapshot_corrupt", "snapshot_unsupported"), path.name
        # A damaged manifest may be known by what it says of others; any other file is named itself.
        told = f"{health['last_reload_error']['detail']}"
        assert path == new / MANIFEST_FILE or path.name in told, (path.name, told)
        assert answered["passages"] == expected

    names = {path.name for path in files}
    assert {"permalinks.sqlite", "catalogue.sqlite", "dense.faiss", "evidence.npy", MANIFEST_FILE} <= names
    assert live.refresh()
    assert client.get("/v1/health").json()["last_reload_error"] is None
