"""
Runs `citewell build --watch` with a stand-in for the model; test_build_watch.py starts it.

Usage: watch_runner.py CORPUS INDEX_DIR. While the file `hold` lies beside the corpus, embedding waits, having made
`held`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from index.build import BuildConfig
from index.model import EmbeddingInput, PassageVectors
from index.testing import HashingEmbedder
from service.commands.watching import run_watch
from service.environment import load_settings


class HeldEmbedder(HashingEmbedder):
    """Embeds when it is let."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def embed(
        self, inputs: Sequence[EmbeddingInput], on_done: Callable[[int], None] | None = None
    ) -> list[PassageVectors]:
        """Wait until `hold` is gone, then embed."""
        while (self._folder / "hold").exists():
            (self._folder / "held").touch()
            time.sleep(0.02)
        return super().embed(inputs, on_done)


def main() -> None:
    """Watch until a signal comes."""
    corpus, index_dir = Path(sys.argv[1]), Path(sys.argv[2])
    settings = load_settings({"corpus": corpus, "index_dir": index_dir})
    raise SystemExit(run_watch(settings, BuildConfig(), HeldEmbedder(corpus.parent), lambda _: None, as_json=True))


if __name__ == "__main__":
    main()
