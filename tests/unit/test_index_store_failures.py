"""Publishing when a step of it fails: the reader still sees the snapshot before."""

import errno
import itertools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from store_support import Clock, hidden, publish

from index.errors import SnapshotCorrupt, StorageFailed
from index.manifest import read_manifest
from index.store import IndexDir


@pytest.fixture
def index_dir(tmp_path: Path) -> IndexDir:
    return IndexDir(tmp_path / "var" / "index", Clock())


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, nth: int, number: int) -> Callable[[], int]:
    """Let the nth call (from 0) of an operating system function fail; returns how to ask for the number of calls."""
    real, calls = getattr(os, name), 0

    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth + 1:
            raise OSError(number, os.strerror(number))
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, call)
    return lambda: calls


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT, errno.EFBIG, errno.EACCES])
@pytest.mark.parametrize("name", ["fsync", "replace", "rename"])
def test_every_step_may_fail(index_dir: IndexDir, name: str, number: int) -> None:
    """This ensures that wherever a disk fails, a complete snapshot is live, nothing else stays, and a retry works."""
    old = publish(index_dir, "old")
    for nth in itertools.count():
        with pytest.MonkeyPatch.context() as monkeypatch:
            calls = fail_at(monkeypatch, name, nth, number)
            failure = attempt(index_dir)
            if calls() <= nth:
                break  # there are no more steps than that

        current = index_dir.current_id()
        assert failure is not None
        # Only where the confirmation of the very last step was missing is the new one live, and the error says so.
        assert (current == old) != ("is live" in failure.what)
        assert current is not None
        assert read_manifest(index_dir.snapshot_path(current)).snapshot_id == current
        assert [info.id for info in index_dir.list_snapshots()] == sorted({old, current}, reverse=True)
        assert hidden(index_dir) == []
        old = current
    assert nth == {"fsync": 9, "replace": 2, "rename": 1}[name]
    assert failure is None


def attempt(index_dir: IndexDir) -> StorageFailed | None:
    try:
        publish(index_dir, "new")
    except StorageFailed as error:
        return error
    return None


def test_a_staging_folder_that_can_not_be_made_is_a_storage_error(
    index_dir: IndexDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that a disk full from the start is explained."""
    publish(index_dir)
    real = os.mkdir

    def mkdir(path: Any, *arguments: Any) -> None:
        if ".staging" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, *arguments)

    monkeypatch.setattr(os, "mkdir", mkdir)

    with pytest.raises(StorageFailed, match="No space left"):
        publish(index_dir)


def test_nothing_is_live_before_it_is_on_the_disk(index_dir: IndexDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that every file is forced to the disk before the manifest is, and all of it before CURRENT."""
    events: list[str] = []
    real_fsync, real_replace, real_rename = os.fsync, os.replace, os.rename

    def fsync(descriptor: int) -> None:
        events.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        real_fsync(descriptor)

    def replace(source: Any, target: Any) -> None:
        events.append(f"put {Path(target).name}")
        real_replace(source, target)

    def rename(source: Any, target: Any) -> None:
        events.append("put snapshot")
        real_rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "rename", rename)

    publish(index_dir)

    shown = [re.sub(r"\.staging-\S+", "staging", re.sub(r"\.(\w+(?:\.json)?)\.\w+\.tmp", r"new \1", e)) for e in events]
    assert shown == [
        "sync dense.faiss",
        "sync meta.json",
        "sync lexical",
        "sync staging",
        "sync new manifest.json",
        "put manifest.json",
        "sync staging",
        "put snapshot",
        "sync snapshots",
        "sync new CURRENT",
        "put CURRENT",
        "sync index",
    ]


def test_an_index_folder_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    """This ensures that a wrong setting is explained."""
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageFailed) as caught:
        publish(IndexDir(tmp_path / "file"))

    assert str(tmp_path / "file") in caught.value.where


def test_publishing_what_was_not_sealed_is_refused(index_dir: IndexDir) -> None:
    """This ensures that a folder without manifest never becomes a snapshot."""
    with index_dir.writing() as staging, pytest.raises(SnapshotCorrupt):
        index_dir.publish(staging)

    assert index_dir.current_id() is None
    assert index_dir.list_snapshots() == []
