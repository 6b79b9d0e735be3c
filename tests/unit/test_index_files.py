"""Crash-safe file operations."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from index.errors import StorageFailed
from index.files import (
    list_files,
    remove,
    rename,
    set_aside,
    sha256_file,
    sha256_files,
    storage_errors,
    storage_failed,
    write_atomically,
)


def test_atomic_write_replaces_the_whole_content(tmp_path: Path) -> None:
    """This ensures that a file holds the new content only, and no temporary file stays."""
    path = tmp_path / "CURRENT"
    path.write_bytes(b"old and longer")

    write_atomically(path, b"new")

    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["CURRENT"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_atomic_write_that_fails_keeps_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """This ensures that a failing disk costs neither the old content nor leaves a temporary file."""
    path = tmp_path / "CURRENT"
    path.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, step, fail)

    with pytest.raises(OSError, match="Input/output error"):
        write_atomically(path, b"new")

    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["CURRENT"]


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "right to write"),
        (errno.EIO, "disk reports errors"),
        (errno.ENAMETOOLONG, "check that disk"),
    ],
)
def test_storage_error_says_what_where_and_what_to_do(tmp_path: Path, number: int, advice: str) -> None:
    """This ensures that every failing write becomes a StorageFailed with the file at fault and advice that fits."""
    with pytest.raises(StorageFailed) as caught, storage_errors(tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path / "dense.faiss"))

    assert caught.value.where == str(tmp_path / "dense.faiss")
    assert os.strerror(number) in caught.value.what
    assert advice in caught.value.fix
    assert "live snapshot is untouched" in caught.value.fix


def test_storage_error_without_a_file_names_the_given_path(tmp_path: Path) -> None:
    """This ensures that an error of an open descriptor, which names no file, still says where."""
    with pytest.raises(StorageFailed) as caught, storage_errors(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert caught.value.where == str(tmp_path / "x")


def test_rename_refuses_to_replace(tmp_path: Path) -> None:
    """This ensures that a sealed snapshot is never replaced by another."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    with pytest.raises(FileExistsError):
        rename(tmp_path / "a", tmp_path / "b")


def test_set_aside_finds_a_free_name(tmp_path: Path) -> None:
    """This ensures that a file set aside never replaces one set aside before."""
    path = tmp_path / "v.sqlite"
    kept = []
    for content in ("one", "two"):
        path.write_text(content)
        kept.append(set_aside(path, "odd"))

    assert [(p.name, p.read_text()) for p in kept] == [("v.sqlite.odd-1", "one"), ("v.sqlite.odd-2", "two")]


def test_remove_takes_files_folders_and_what_is_gone(tmp_path: Path) -> None:
    """This ensures that sweeping works whatever it meets, and follows no link."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("x")
    (folder / "link").symlink_to(outside)
    (tmp_path / "link").symlink_to(outside)

    for name in ("folder", "link", "missing"):
        remove(tmp_path / name)

    assert [p.name for p in tmp_path.iterdir()] == ["outside"]
    assert (outside / "kept").read_text() == "x"


def test_checksums_cover_every_file_below_a_folder(tmp_path: Path) -> None:
    """This ensures that nested, hidden and empty files are listed and hashed under their relative names."""
    contents = {"a": b"1", "lexical/.lock": b"", "lexical/deep/b": b"2" * 3_000_000}
    for name, data in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)

    names = list_files(tmp_path)
    hashed = sha256_files(tmp_path, names)

    assert names == sorted(contents)
    assert hashed == {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in contents.items()}
    assert sha256_file(tmp_path / "a") == hashed["a"]


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("database or disk is full", "free some space"),
        ("attempt to write a readonly database", "read-only"),
        ("An IO error occurred: 'No space left on device (os error 28)'", "free some space"),
        ("File too large (os error 27)", "ulimit -f"),
        ("something else", "check that disk"),
    ],
)
def test_advice_is_found_in_what_libraries_say(tmp_path: Path, reason: str, advice: str) -> None:
    """This ensures that errors of SQLite and tantivy, which carry no number, lead to the same advice."""
    assert advice in storage_failed(tmp_path, reason).fix
