"""
Where a build's work is done: the seam, and this machine's own processes. Knows no document.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Generic, Protocol, TypeVar

from index.cores import n_cores
from index.errors import WorkersFailed
from index.model import EmbeddingInput, PassageEmbedder, PassageVectors

J = TypeVar("J")
R = TypeVar("R")

# What is sent at once: enough that sending costs little, little enough that nobody waits for one long chunk.
_CHUNK_JOBS = 32
_CHUNK_BYTES = 250_000
# Chunks on their way for each worker: one that is worked on, one that waits, one whose results come back.
_CHUNKS_AHEAD = 3
# A process takes one to two seconds to start, so a small library is done before one could help.
ALONE_S = 3.0


@dataclass(frozen=True, slots=True)
class Job(Generic[J]):
    """One piece of work, and how many bytes it is worth."""

    payload: J
    n_bytes: int


class BuildExecutor(Protocol):
    """Does the work of a build; results never depend on which executor does it."""

    @property
    def n_workers(self) -> int:
        """Return how many pieces of work go on at the same time."""

    @property
    def is_alone(self) -> bool:
        """Tell whether the next piece of work is done before `submit` returns; then nothing is gained by chunks."""

    def submit(self, function: Callable[[Sequence[J]], list[R]], jobs: Sequence[J]) -> Future[list[R]]:
        """Begin one chunk; function, jobs and results can be sent to other processes."""

    def embed(
        self, embedder: PassageEmbedder, inputs: Sequence[EmbeddingInput], on_done: Callable[[int], None]
    ) -> list[PassageVectors]:
        """
        Return the vectors of each input, in its order.

        Args:
            on_done: hears how many more are finished, 0 too; what it raises ends the work.
        """

    def close(self) -> None:
        """End the workers, whatever they are doing."""


def in_order(
    executor: BuildExecutor, function: Callable[[Sequence[J]], list[R]], items: Iterable[Job[J] | R]
) -> Iterator[R]:
    """
    Yield the result of every job, and what is a result already, in the order of the items.

    No more than some chunks for each worker are held at once.

    Raises:
        WorkersFailed: a worker was lost for good. And whatever `function` raises.
    """
    chunk: list[Job[J]] = []
    ahead: deque[Future[list[R]]] = deque()

    def send() -> None:
        if chunk:
            ahead.append(executor.submit(function, [job.payload for job in chunk]))
            chunk.clear()

    try:
        for item in items:
            if isinstance(item, Job):
                chunk.append(item)
                is_full = len(chunk) >= _CHUNK_JOBS or sum(job.n_bytes for job in chunk) >= _CHUNK_BYTES
                if executor.is_alone or is_full:
                    send()
            elif chunk or ahead:
                send()
                ahead.append(_finished([item]))
            else:
                yield item
            while ahead and (ahead[0].done() or len(ahead) > _CHUNKS_AHEAD * executor.n_workers):
                yield from _result(ahead.popleft())
        send()
        while ahead:
            yield from _result(ahead.popleft())
    finally:
        for future in ahead:
            future.cancel()


def _finished(results: list[R]) -> Future[list[R]]:
    future: Future[list[R]] = Future()
    future.set_result(results)
    return future


def _result(future: Future[list[R]]) -> list[R]:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise WorkersFailed(
            "a process that reads or splits documents was ended from outside, perhaps for want of memory",
            where="executor",
            fix="build again with more free memory; the index is as it was before",
        ) from error


class LocalExecutor:
    """
    This process first, and processes beside it once the work turns out to be long. Embeds in threads of this process.

    Args:
        n_workers: processes that read and split; None is one for each core.
        alone_s: seconds of work that are done here before any is started.
    """

    def __init__(self, n_workers: int | None = None, alone_s: float = ALONE_S) -> None:
        self.n_workers = n_workers or n_cores()
        self._alone_s = alone_s
        self._spent_s = 0.0
        self._pool: ProcessPoolExecutor | None = None

    @property
    def is_alone(self) -> bool:
        """Tell whether no process was needed yet."""
        return self._spent_s < self._alone_s

    def submit(self, function: Callable[[Sequence[J]], list[R]], jobs: Sequence[J]) -> Future[list[R]]:
        """Begin one chunk, or do it here."""
        if self.is_alone:
            start = time.monotonic()
            done = _finished(function(jobs))
            self._spent_s += time.monotonic() - start
            return done
        if self._pool is None:
            # Not forked: threads of this process may hold locks that nobody would ever release in a copy.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.n_workers, context, initializer=_begin_worker)
        return self._pool.submit(function, jobs)

    def embed(
        self, embedder: PassageEmbedder, inputs: Sequence[EmbeddingInput], on_done: Callable[[int], None]
    ) -> list[PassageVectors]:
        """Return the vectors of each input, by the model in this process."""
        return embedder.embed(inputs, on_done)

    def close(self) -> None:
        """End the processes, those that are busy too."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        # There is no public way before Python 3.14 to end a process that is busy with a hostile file.
        for process in list(getattr(pool, "_processes", {}).values()):
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    """Leave Ctrl-C to the process that builds, and end when it is gone, however it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def end_with_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


@contextmanager
def working(executor: BuildExecutor) -> Iterator[BuildExecutor]:
    """Give an executor for the block and end its workers after it."""
    try:
        yield executor
    finally:
        executor.close()
