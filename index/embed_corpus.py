"""
Vectors of a whole corpus, in order: from the cache where the same text was embedded before, else from the model.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from index.model import EmbeddingInput, PassageEmbedder, PassageVectors
from index.vector_cache import VectorCache

# Passages looked up, embedded and cached together. Among so many there are enough of every length to fill batches, and
# a killed build loses no more than two of these. The first windows are smaller, so that the model begins sooner.
WINDOW = 8_192
FIRST_WINDOW = 1_024

# Inputs, and what hears how many more of them are finished.
Embed = Callable[[Sequence[EmbeddingInput], Callable[[int], None]], list[PassageVectors]]


class CorpusVectors:
    """
    One pass over a corpus; afterwards `keys`, `n_embedded`, `n_reused` and `passages_per_s` tell what happened.

    Args:
        embed: makes the vectors; the embedder's own way when None.
        on_done: hears how many more inputs have vectors, in another thread too.
    """

    def __init__(
        self,
        embedder: PassageEmbedder,
        cache: VectorCache,
        on_done: Callable[[int], None] | None = None,
        embed: Embed | None = None,
    ) -> None:
        self._fingerprint = embedder.fingerprint
        self._model = embed or embedder.embed
        self._cache = cache
        self._on_done = on_done
        self.keys: set[str] = set()
        self.n_embedded = 0
        self.n_reused = 0
        self.model_s = 0.0  # in which the model ran
        # Of the window before: an equal input in the next one is not looked up a second time.
        self._last: dict[str, PassageVectors] = {}

    @property
    def passages_per_s(self) -> float:
        """Return how many passages a second the model took, 0.0 when it did not run."""
        return self.n_embedded / self.model_s if self.model_s else 0.0

    def iter_vectors(self, inputs: Iterable[EmbeddingInput]) -> Generator[PassageVectors, None, None]:
        """
        Yield the vectors of each input, in order.

        Equal inputs are embedded once. Everything new is in the cache before it is yielded. While the model works on
        one window, the one before it is stored and yielded, and the next one looked up.
        """
        before: _Window | None = None
        with ThreadPoolExecutor(1, "model") as pool:
            for items in _windows(inputs):
                window = self._begin(pool, items, before.keys if before else frozenset())
                if before is not None:
                    yield from self._finish(before)
                before = window
            if before is not None:
                yield from self._finish(before)

    def _begin(self, pool: Executor, items: Sequence[EmbeddingInput], underway: Collection[str]) -> _Window:
        """Look a window up and give what is missing to the model; `underway` is what it has already."""
        keys = [cache_key(item) for item in items]
        known = set(underway)
        found = self._cache.get_many(self._fingerprint, sorted(set(keys) - known))
        known |= found.keys()
        missing = {key: item for key, item in zip(keys, items, strict=True) if key not in known}
        fresh = pool.submit(self._embed, list(missing.values())) if missing else None
        return _Window(keys, found, list(missing), fresh)

    def _finish(self, window: _Window) -> Iterator[PassageVectors]:
        missing = window.missing
        self.n_reused += len(window.keys) - len(missing)
        self._report(len(window.keys) - len(missing))
        vectors = self._last | window.found
        if window.fresh is not None:
            fresh = dict(zip(missing, window.fresh.result(), strict=True))
            self.n_embedded += len(fresh)
            self._cache.put_many(self._fingerprint, fresh.items())
            vectors |= fresh
        self._last = {key: vectors[key] for key in window.keys}
        self.keys.update(window.keys)
        yield from (vectors[key] for key in window.keys)

    def _report(self, n_done: int) -> None:
        if self._on_done is not None and n_done:
            self._on_done(n_done)

    def _embed(self, inputs: Sequence[EmbeddingInput]) -> list[PassageVectors]:
        start = time.monotonic()
        vectors = self._model(inputs, self._report)
        self.model_s += time.monotonic() - start
        return vectors


@dataclass(frozen=True, slots=True)
class _Window:
    """Inputs that are underway: their keys, what the cache has of them, what it has not and who makes that."""

    keys: list[str]
    found: dict[str, PassageVectors]
    missing: list[str]
    fresh: Future[list[PassageVectors]] | None


def _windows(inputs: Iterable[EmbeddingInput]) -> Iterator[list[EmbeddingInput]]:
    remaining = iter(inputs)
    size = FIRST_WINDOW
    while window := list(islice(remaining, size)):
        yield window
        size = min(2 * size, WINDOW)


def cache_key(item: EmbeddingInput) -> str:
    """Return the SHA-256, hex, of everything that the vectors depend on besides the model."""
    return hashlib.sha256(json.dumps([item.prefix, item.text, item.sentences]).encode()).hexdigest()
