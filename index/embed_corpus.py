"""
Vectors of a whole corpus, in order: from the cache where the same text was embedded before, else from the model.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from index.model import EmbeddingInput, PassageEmbedder, PassageVectors
from index.vector_cache import VectorCache

# Passages looked up, embedded and cached together. Sorting by length inside so many leaves hardly any padding, and a
# killed build loses no more than this.
WINDOW = 8_192


class CorpusVectors:
    """
    One pass over a corpus; afterwards `keys`, `n_embedded`, `n_reused` and `passages_per_s` tell what happened.

    Args:
        on_done: hears how many more inputs have vectors.
    """

    def __init__(
        self, embedder: PassageEmbedder, cache: VectorCache, on_done: Callable[[int], None] | None = None
    ) -> None:
        self._embedder = embedder
        self._cache = cache
        self._on_done = on_done
        self.keys: set[str] = set()
        self.n_embedded = 0
        self.n_reused = 0
        self._embedding_s = 0.0

    @property
    def passages_per_s(self) -> float:
        """Return how many passages a second the model took, 0.0 when it did not run."""
        return self.n_embedded / self._embedding_s if self._embedding_s else 0.0

    def iter_vectors(self, inputs: Iterable[EmbeddingInput]) -> Iterator[PassageVectors]:
        """
        Yield the vectors of each input, in order.

        Equal inputs are embedded once. Everything new is in the cache before it is yielded.
        """
        remaining = iter(inputs)
        while window := list(islice(remaining, WINDOW)):
            keys = [cache_key(item) for item in window]
            vectors = self._cache.get_many(self._embedder.fingerprint, sorted(set(keys)))
            missing = {key: item for key, item in zip(keys, window, strict=True) if key not in vectors}
            self.n_reused += len(window) - len(missing)
            self._report(len(window) - len(missing))
            vectors |= self._embed(missing)
            self.keys.update(keys)
            yield from (vectors[key] for key in keys)

    def _report(self, n_done: int) -> None:
        if self._on_done is not None and n_done:
            self._on_done(n_done)

    def _embed(self, missing: dict[str, EmbeddingInput]) -> dict[str, PassageVectors]:
        if not missing:
            return {}
        start = time.monotonic()
        fresh = dict(zip(missing, self._embedder.embed(list(missing.values()), self._report), strict=True))
        self._embedding_s += time.monotonic() - start
        self.n_embedded += len(fresh)
        self._cache.put_many(self._embedder.fingerprint, fresh.items())
        return fresh


def cache_key(item: EmbeddingInput) -> str:
    """Return the SHA-256, hex, of everything that the vectors depend on besides the model."""
    return hashlib.sha256(json.dumps([item.prefix, item.text, item.sentences]).encode()).hexdigest()
