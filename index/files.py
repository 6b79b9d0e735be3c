"""
File operations that survive a crash, and what a failing disk means. Knows nothing about snapshots.

`store.py` decides what is renamed or deleted; the calls themselves are here, so that manifest.py and vector_cache.py
can write and set aside without knowing the store.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from index.errors import StorageFailed

_HASH_THREADS = 4  # hashing lets go of the interpreter lock; 1.5 GB/s per thread was measured

_FIXES = {
    errno.ENOSPC: "free some space, or point index_dir at a larger disk, and build again",
    errno.EDQUOT: "the disk quota is used up: free some space or raise it, and build again",
    errno.EFBIG: "a file may not grow that large here: raise the file size limit (ulimit -f), and build again",
    errno.EROFS: "the file system is read-only: point index_dir at one that can be written",
    errno.EACCES: "give this user the right to write there, or point index_dir elsewhere",
    errno.EPERM: "give this user the right to write there, or point index_dir elsewhere",
    errno.EIO: "the disk reports errors: check it, and point index_dir at a sound one",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n), and build again",
}

_SQLITE_WORDS = {"disk is full": errno.ENOSPC, "readonly": errno.EROFS, "disk I/O error": errno.EIO}


def storage_failed(path: Path, reason: str, number: int | None = None) -> StorageFailed:
    """
    Return the error for a write that did not happen.

    Args:
        number: the errno; None where a library only says it in words.
    """
    if number is None and (told := re.search(r"os error (\d+)", reason)):
        number = int(told[1])
    if number is None:
        number = next((n for words, n in _SQLITE_WORDS.items() if words in reason), 0)
    fix = _FIXES.get(number, "check that disk, and build again")
    return StorageFailed(f"could not write: {reason}", where=str(path), fix=f"{fix}; the live snapshot is untouched")


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn every OSError of the block into StorageFailed, naming the file at fault or else `path`."""
    try:
        yield
    except OSError as error:
        at_fault = Path(error.filename) if isinstance(error.filename, str) else path
        raise storage_failed(at_fault, error.strerror or str(error), error.errno) from error


def fsync_file(path: Path) -> None:
    """Force a file's bytes to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(path: Path) -> None:
    """Force a folder's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, data: bytes) -> None:
    """
    Replace a file's content: a reader sees all of the old or all of the new.

    The temporary file lies in the same folder, as a rename is atomic only within one file system.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    fsync_folder(path.parent)


def rename(source: Path, target: Path) -> None:
    """Rename within one file system and make it last; `target` must not exist."""
    if target.exists():
        raise FileExistsError(errno.EEXIST, "already exists", str(target))
    source.rename(target)
    fsync_folder(target.parent)
    if source.parent != target.parent:
        fsync_folder(source.parent)


def set_aside(path: Path, label: str) -> Path:
    """Rename a file to `<name>.<label>-<n>` beside it, first free n; returns the new path."""
    n = 1
    while (target := path.with_name(f"{path.name}.{label}-{n}")).exists():
        n += 1
    path.rename(target)
    return target


def remove(path: Path) -> None:
    """Delete a file or a folder with all it holds; what is already gone is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=_ignore_missing)
    else:
        path.unlink(missing_ok=True)


def _ignore_missing(_function: object, _path: str, info: tuple[type[BaseException], BaseException, object]) -> None:
    # Two processes may sweep the same folder; what the other one deleted is not our failure.
    if not isinstance(info[1], FileNotFoundError):
        raise info[1]


def sha256_file(path: Path) -> tuple[int, str]:
    """Return a file's size in bytes and its SHA-256, hex."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest


def sha256_files(folder: Path, names: list[str]) -> dict[str, tuple[int, str]]:
    """Return size and SHA-256 of each named file below a folder, several at a time."""
    # Largest first, so that no thread starts the biggest file when the others are done.
    order = sorted(names, key=lambda name: (folder / name).stat().st_size, reverse=True)
    with ThreadPoolExecutor(_HASH_THREADS) as pool:
        results = list(pool.map(lambda name: sha256_file(folder / name), order))
    return dict(zip(order, results, strict=True))


def list_files(folder: Path) -> list[str]:
    """Return the names of all files below a folder, relative to it, "/" between parts, sorted."""
    found = []
    for root, _folders, files in os.walk(folder, onerror=_raise):
        found += [(Path(root) / name).relative_to(folder).as_posix() for name in files]
    return sorted(found)


def list_folders(folder: Path) -> list[Path]:
    """Return a folder and all folders below it, deepest first."""
    return [Path(root) for root, _, _ in os.walk(folder, topdown=False, onerror=_raise)]


def _raise(error: OSError) -> None:
    raise error
