"""Administering on a disk that is full or may not be written: each change is refused with advice, asking goes on."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from admin_support import ADMIN, ZEBRA, admin_client, bearer, waiting_process
from starlette.testclient import TestClient

from index.store import IndexDir
from index.testing import tiny_documents, write_tiny_snapshot
from service import builds


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Serve two snapshots; builds wait and do nothing."""
    monkeypatch.setattr(builds, "_spawn", waiting_process)
    write_tiny_snapshot(IndexDir(tmp_path / "index"), tiny_documents()[:1])
    with admin_client(tmp_path, read_tokens=()) as client:
        client.headers.update(bearer(ADMIN.token))
        yield client


@contextmanager
def largest_file(n_bytes: int) -> Iterator[None]:
    """Let no file of this process grow further: writing then fails in the kernel, as on a disk that fills up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python ignores the signal that comes with the limit.
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_answering(client: TestClient) -> bool:
    asked = client.post("/v1/ask", json={"question": "methadone"})
    return asked.status_code == 200 and client.get("/v1/health").json()["ready"]


def test_disk_that_fills_up_under_an_upload(client: TestClient, tmp_path: Path) -> None:
    """This ensures that half an upload is gone, the version that was there stays, and the next one is stored."""
    before = files_of(tmp_path / "corpus")
    large = ZEBRA + b"More about the zebra clinic stands here. " * 60_000

    with largest_file(1_000_000):
        refused = client.put("/v1/admin/documents/methadone.md", content=large)
    kept = files_of(tmp_path / "corpus")
    stored = client.put("/v1/admin/documents/methadone.md", content=ZEBRA)

    assert (refused.status_code, refused.json()["code"]) == (507, "corpus_not_writable")
    assert refused.json()["fix"]
    assert kept == before
    assert stored.status_code == 200
    assert is_answering(client)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES])
def test_folders_that_can_not_be_written(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """This ensures that uploads, builds and going back say why they can't be, change nothing, and asking goes on."""
    before, older = files_of(tmp_path), IndexDir(tmp_path / "index").list_snapshots()[-1].id
    real = os.open

    def refuse(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(number, os.strerror(number))
        return real(path, flags, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        replies = [
            client.put("/v1/admin/documents/zebra.md", content=ZEBRA),
            client.post("/v1/admin/builds"),
            client.post("/v1/admin/rollback", json={"snapshot": older}),
        ]
        answers = is_answering(client)
        listed = client.get("/v1/admin/builds")

    assert [reply.status_code for reply in replies] == [507] * 3, [reply.text for reply in replies]
    assert [reply.json()["code"] for reply in replies] == ["corpus_not_writable", "storage_failed", "storage_failed"]
    assert all(reply.json()["fix"] for reply in replies)
    assert answers
    assert listed.json()["builds"] == []
    assert files_of(tmp_path) == before


def test_disk_that_is_full_when_the_record_is_written(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that a build without a record is not begun, and that the lock of builds is free afterwards."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("index.jobs.write_atomically", full)
        refused = client.post("/v1/admin/builds")
    started = client.post("/v1/admin/builds")

    assert (refused.status_code, refused.json()["code"]) == (507, "storage_failed")
    assert started.status_code == 202
