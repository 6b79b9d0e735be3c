"""
Puts a file into the corpus folder and takes one out, so that whoever reads it sees all of a file or none.

It stands in `ingest` because it is the other half of `library.py`: temporary files have a hidden name, which the
library never lists, and folders are entered as the library enters them, never through a link. Which names and contents
may be written is decided by the caller; building never writes here.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ingest.errors import CorpusMissing, CorpusNotWritable, UnreadableSource

_TEMPORARY = ".citewell-upload-"
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# What is done under the lock takes milliseconds.
_LOCK_WAIT_S = 10.0
_FIXES = {
    errno.ENOSPC: "free some space on the disk of the corpus, and send it again",
    errno.EDQUOT: "free some space or raise the quota, and send it again",
    errno.EROFS: "the file system of the corpus is read-only: mount it writable for the service, or copy files there",
    errno.EACCES: "give the service's user the right to write to the corpus folder",
    errno.EPERM: "give the service's user the right to write to the corpus folder",
    errno.ENAMETOOLONG: "choose a shorter name",
}


class Upload:
    """
    A file that is arriving, in the corpus folder under a hidden name.

    It is locked as long as it is open, so that what a killed process left can be told from what is still being written.
    """

    def __init__(self, root: Path) -> None:
        """
        Make the temporary file, and delete those that killed processes left.

        Raises:
            CorpusMissing: no such folder. CorpusNotWritable: it can't be written.
        """
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        self.head = b""  # the first 4,096 bytes
        with corpus_lock(root) as folder, _write_errors():
            _sweep(folder)
            self.name = f"{_TEMPORARY}{secrets.token_hex(8)}.part"
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor: int | None = os.open(self.name, flags, 0o644, dir_fd=folder)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._root = root
        self.path = root / self.name

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what has arrived, hex."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Append bytes. Raises CorpusNotWritable: the disk is full or failing."""
        with _write_errors():
            view = memoryview(data)
            while view:
                view = view[os.write(self._open_descriptor(), view) :]
        self._digest.update(data)
        self.size_bytes += len(data)
        if len(self.head) < 4_096:
            self.head += data[: 4_096 - len(self.head)]

    def sync(self) -> None:
        """Force the bytes to the disk. Raises CorpusNotWritable."""
        with _write_errors():
            os.fsync(self._open_descriptor())

    def discard(self) -> None:
        """Delete the temporary file, unless it was put into its place; may be called twice."""
        if self._descriptor is not None:
            with suppress(OSError):
                self.path.unlink()
            self.release()

    def release(self) -> None:
        """Close the file and leave it where it is."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise RuntimeError("the upload is closed")
        return self._descriptor


@contextmanager
def corpus_lock(root: Path) -> Iterator[int]:
    """
    Hold the corpus for one change; gives the folder's descriptor. Reading needs no lock.

    Raises:
        CorpusMissing: no such folder. CorpusNotWritable: other changes don't come to an end.
    """
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise CorpusMissing("there is no such folder", where=str(root), fix="make the folder of the corpus") from error
    try:
        deadline = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise CorpusNotWritable(
                        "another change of the corpus takes too long", where=str(root), fix="try again in a moment"
                    ) from error
                time.sleep(0.01)
        yield folder
    finally:
        os.close(folder)


def put_file(folder: int, upload: Upload, relative: str) -> None:
    """
    Move an upload that was synced into its place, replacing what is there; folders are made as needed.

    Args:
        folder: as `corpus_lock` gives it.
        relative: the file's path in the corpus, "/" between parts, checked by the caller.

    Raises:
        CorpusNotWritable: the disk is full, read-only or failing; what was there is untouched.
        UnreadableSource: a folder on the way is a link or a file, or a link or folder is in the file's place.
    """
    *parents, name = relative.split("/")
    opened, made = _open_folders(folder, parents, relative, make=True)
    try:
        _refuse_special(opened[-1], name, relative)
        with _write_errors():
            os.rename(upload.name, name, src_dir_fd=folder, dst_dir_fd=opened[-1])
            # Deepest first: an entry is on the disk before the folder that leads to it.
            for descriptor in reversed(opened):
                os.fsync(descriptor)
        upload.release()
    except BaseException:
        _remove_empty(opened, parents[len(parents) - made :])
        raise
    finally:
        _close(opened[1:])


def delete_file(folder: int, relative: str) -> None:
    """
    Delete a file or a link, and the folders that are empty without it.

    Raises:
        FileNotFoundError: it is not there.
        CorpusNotWritable, UnreadableSource: as for `put_file`.
    """
    *parents, name = relative.split("/")
    opened, _ = _open_folders(folder, parents, relative, make=False)
    try:
        with _write_errors():
            os.unlink(name, dir_fd=opened[-1])
            os.fsync(opened[-1])
        _remove_empty(opened, parents)
        with _write_errors():
            os.fsync(folder)
    finally:
        _close(opened[1:])


def sha256_at(folder: int, relative: str) -> str | None:
    """
    Return the SHA-256 of a file of the corpus, hex; None if there is none.

    Raises:
        UnreadableSource: it, or a folder on the way, is a link or nothing that can be read.
    """
    *parents, name = relative.split("/")
    try:
        opened, _ = _open_folders(folder, parents, relative, make=False)
    except FileNotFoundError:
        return None
    try:
        descriptor = os.open(name, _FILE_FLAGS, dir_fd=opened[-1])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _not_ordinary(relative) from error
    finally:
        _close(opened[1:])
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _not_ordinary(relative)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open_folders(folder: int, parents: list[str], relative: str, *, make: bool) -> tuple[list[int], int]:
    """Return descriptors from the corpus folder down to the file's own, and how many of them were made."""
    opened, made = [folder], 0
    try:
        for depth, part in enumerate(parents):
            if make:
                with _write_errors(), suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=opened[-1])
                    made += 1
            try:
                opened.append(os.open(part, _FOLDER_FLAGS, dir_fd=opened[-1]))
            except FileNotFoundError:
                raise
            except OSError as error:
                raise UnreadableSource(
                    f"the folder {'/'.join(parents[: depth + 1])} is a link, a file or closed to the service",
                    where=relative,
                    fix="choose another folder; links are not followed",
                ) from error
    except BaseException:
        _remove_empty(opened, parents[len(opened) - 1 - made : len(opened) - 1])
        _close(opened[1:])
        raise
    return opened, made


def _refuse_special(folder: int, name: str, relative: str) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise _not_ordinary(relative)


def _not_ordinary(relative: str) -> UnreadableSource:
    return UnreadableSource(
        "is a link, a folder or nothing that can be read",
        where=relative,
        fix="choose another name; links stay as they are",
    )


def _remove_empty(opened: list[int], names: list[str]) -> None:
    """Remove the last folders of a chain as far as they are empty; `names` are theirs, outermost first."""
    chain = opened[: len(opened) - 1][-len(names) :] if names else []
    for parent, name in reversed(list(zip(chain, names, strict=True))):
        try:
            os.rmdir(name, dir_fd=parent)
        except OSError:
            return


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _sweep(folder: int) -> None:
    """Delete temporary files that no process has open."""
    for name in os.listdir(folder):
        if not name.startswith(_TEMPORARY):
            continue
        with suppress(OSError):
            descriptor = os.open(name, _FILE_FLAGS, dir_fd=folder)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(name, dir_fd=folder)
            finally:
                os.close(descriptor)


@contextmanager
def _write_errors() -> Iterator[None]:
    """Turn what a disk refuses into CorpusNotWritable; what is missing or there already is the caller's to judge."""
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as error:
        reason = error.strerror or "the disk failed"
        raise CorpusNotWritable(
            f"the corpus could not be written: {reason}",
            where="corpus",
            fix=_FIXES.get(error.errno or 0, "check the disk of the corpus, and send it again"),
        ) from error
