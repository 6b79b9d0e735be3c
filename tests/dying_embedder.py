"""An embedder that ends the process it works in, as a lack of memory does. Importable in workers of any executor."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from index.model import EmbeddingInput, PassageVectors
from index.testing import HashingEmbedder


class DyingEmbedder(HashingEmbedder):
    """
    Kills its process with SIGKILL when asked to embed; never the process that made it.

    Args:
        deaths: folder in which each death leaves a file.
        n_deaths: how many times it dies before it works.
    """

    def __init__(self, deaths: Path, n_deaths: int) -> None:
        super().__init__()
        self.deaths = deaths
        self.n_deaths = n_deaths
        self.home = os.getpid()

    def embed(
        self, inputs: Sequence[EmbeddingInput], on_done: Callable[[int], None] | None = None
    ) -> list[PassageVectors]:
        """Die, or return the vectors."""
        self.die()
        return super().embed(inputs, on_done)

    def die(self) -> None:
        """Die unless it did so often enough."""
        if os.getpid() != self.home and len(list(self.deaths.iterdir())) < self.n_deaths:
            (self.deaths / str(os.getpid())).touch()
            os.kill(os.getpid(), signal.SIGKILL)


class DyingCounter(DyingEmbedder):
    """The same, when asked to count tokens."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Die, or return the counts."""
        self.die()
        return super().count_tokens(texts)


class SlowCounter(HashingEmbedder):
    """Says where it works and takes long: `started` gets a file for each process."""

    def __init__(self, started: Path) -> None:
        super().__init__()
        self.started = started

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Wait for an end that others bring."""
        (self.started / str(os.getpid())).touch()
        multiprocessing.Event().wait(60)
        return super().count_tokens(texts)
