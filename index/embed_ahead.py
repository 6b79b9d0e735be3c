"""
Embeds a build's passages in a thread of its own, while the documents that come after them are still read and split.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

from index.embed_corpus import CorpusVectors
from index.evidence_vectors import write_evidence
from index.executor import BuildExecutor
from index.model import EmbeddingInput, Float32, PassageEmbedder, PassageVectors
from index.store import IndexDir
from index.vector_cache import VectorCache

# People see progress this often, and a build that is to stop hears of it.
_LOOK_EVERY_S = 0.1


class _Abandoned(Exception):
    """The build ended before its vectors were made."""


class EmbedAhead:
    """
    One embedding run: `add` passages in order, then `finish`. Leaving the block early ends it at the next batch.

    The question encoder is exported before it.
    Passage vectors are kept in memory; the evidence vectors, four times as many, go to `folder` as they come. What
    fails in the thread is raised by `finish`, and by `add` where it is known already.

    Attributes:
        vectors: what was embedded and what was reused; None before `finish`.
        warnings: of the embedding cache.
    """

    def __init__(self, embedder: PassageEmbedder, executor: BuildExecutor, store: IndexDir, folder: Path) -> None:
        self.vectors: CorpusVectors | None = None
        self.warnings: list[str] = []
        self._embedder = embedder
        self._executor = executor
        self._store = store
        self._folder = folder
        self._queue: SimpleQueue[Sequence[EmbeddingInput] | None] = SimpleQueue()
        self._rows: list[Float32] = []
        self._n_done = 0
        self._counting = threading.Lock()
        self._error: BaseException | None = None
        self._is_abandoned = False
        self._thread = threading.Thread(target=self._run, name="embed-ahead", daemon=True)

    def __enter__(self) -> EmbedAhead:
        """Return the run itself; it begins with the first passages."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the thread, which stops soon if it is not done."""
        self._is_abandoned = True
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def add(self, inputs: Sequence[EmbeddingInput]) -> None:
        """Hand over the next passages; returns at once."""
        if self._error is not None:
            raise self._error
        if self._thread.ident is None:
            self._thread.start()
        self._queue.put(inputs)

    def finish(self, on_done: Callable[[int], None]) -> list[Float32]:
        """
        Wait for the last vector; return the passage vectors, `float32[d]` each.

        Args:
            on_done: hears several times a second, in this thread, how many passages have vectors.
        """
        self._queue.put(None)
        while self._thread.is_alive():
            self._thread.join(_LOOK_EVERY_S)
            on_done(self._n_done)
        if self._error is not None:
            raise self._error
        return self._rows

    def _run(self) -> None:
        try:
            self._embed()
        except BaseException as error:  # noqa: BLE001  raised again by whoever waits
            self._error = error

    def _embed(self) -> None:
        # Here and not beside it: the libraries that load models do not bear being imported by two threads at once.
        self._embedder.export_query_encoder(self._store.path)
        with VectorCache.open(self._store.vectors_path) as cache:
            vectors = CorpusVectors(self._embedder, cache, self._count, self._model)
            found = vectors.iter_vectors(self._inputs())
            try:
                write_evidence(self._folder, self._evidence(found))
            finally:
                # The model may be at work on what nobody waits for any more.
                self._is_abandoned = True
                found.close()
            self.warnings = list(cache.warnings)
            self.vectors = vectors

    def _model(self, inputs: Sequence[EmbeddingInput], on_done: Callable[[int], None]) -> list[PassageVectors]:
        def hear(n_more: int) -> None:
            self._stop_if_abandoned()
            on_done(n_more)

        return self._executor.embed(self._embedder, inputs, hear)

    def _inputs(self) -> Iterator[EmbeddingInput]:
        while (inputs := self._queue.get()) is not None:
            yield from inputs
        self._stop_if_abandoned()

    def _evidence(self, found: Iterator[PassageVectors]) -> Iterator[Float32]:
        for vectors in found:
            self._stop_if_abandoned()
            self._rows.append(vectors.passage)
            yield vectors.evidence

    def _count(self, n_more: int) -> None:
        self._stop_if_abandoned()
        with self._counting:
            self._n_done += n_more

    def _stop_if_abandoned(self) -> None:
        if self._is_abandoned:
            raise _Abandoned
