"""
One writer at a time, across processes. Knows nothing about what is written.

The operating system lets go of the lock when the process ends, however it ends; what the file says is for people only.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from index.errors import WriterBusy
from index.files import storage_errors

# A worker forked during a build inherits the descriptor, and would keep the lock alive after the builder was killed.
_held: set[int] = set()


@contextmanager
def writer_lock(path: Path, since: str) -> Iterator[None]:
    """
    Hold the lock for the length of the block; the file is made when missing, its folder too.

    Args:
        since: the time to name in another writer's error.

    Raises:
        WriterBusy: held already, by whichever process or thread.
        StorageFailed: the file can't be made.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    _release_in_forks()
    _held.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _busy(path) from error
        with suppress(OSError):  # a full disk costs no more than the name in the message
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "since": since}).encode(), 0)
        yield
    finally:
        if descriptor in _held:
            _held.discard(descriptor)
            os.close(descriptor)


@cache
def _release_in_forks() -> None:
    def close_all() -> None:
        while _held:
            with suppress(OSError):
                os.close(_held.pop())

    os.register_at_fork(after_in_child=close_all)


def _busy(path: Path) -> WriterBusy:
    try:
        holder = json.loads(path.read_bytes())
        who = f"process {int(holder['pid'])}, since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        who = "a process that has not said which"
    what = f"another build is writing this index ({who})"
    return WriterBusy(what, where=str(path), fix="wait for it to end, or stop it")
