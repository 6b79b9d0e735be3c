"""
Compares embedding a corpus, as a build does it, with the bare model on the same texts in the same run.

    python tests/bench/bench_embedding.py INDEX_DIR [--passages 2000] [--rounds 5]

Sides alternate; the figures are medians and the ratio of medians. Bare (same precision) is the model's forward pass
alone, on batches made beforehand, in the precision and batch size of the build. Bare (library defaults) is
`SentenceTransformer.encode` as its documentation calls it: float32, batches of 32.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from index.embed import BATCH_SIZE, SentenceTransformerEmbedder
from index.embed_corpus import CorpusVectors
from index.model import EmbeddingInput
from index.model_files import find_model
from index.model_loading import import_torch, load_model
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.vector_cache import VectorCache
from ingest.model import Passage


def sample(index_dir: Path, n: int) -> list[EmbeddingInput]:
    """Return n passages spread evenly over a snapshot, as a build embeds them."""
    with open_snapshot(IndexDir(index_dir)) as snapshot:
        total = snapshot.manifest.counts.passages
        ordinals = [i * total // n for i in range(min(n, total))]
        stored = [s.passage for s in snapshot.catalogue.passages(ordinals)]
    return [to_input(passage) for passage in stored]


def to_input(passage: Passage) -> EmbeddingInput:
    sentences = tuple((start - passage.start, end - passage.start) for start, end in passage.sentences)
    return EmbeddingInput(passage.embedding_prefix, passage.text, sentences)


def timed(side: Callable[[], object]) -> float:
    start = time.perf_counter()
    side()
    return time.perf_counter() - start


def main() -> None:
    """Print passages per second of each side and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index_dir", type=Path)
    parser.add_argument("--passages", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    inputs = sample(options.index_dir, options.passages)
    embedder = SentenceTransformerEmbedder(find_model())
    model = load_model(find_model())
    torch = import_torch()
    texts = [f"{item.prefix} {item.text}" for item in inputs]
    ids = sorted((embedder._encode(item)[0] for item in inputs), key=len, reverse=True)
    batches = []
    for first in range(0, len(ids), BATCH_SIZE):
        rows = ids[first : first + BATCH_SIZE]
        width = max(map(len, rows))
        batches.append(
            {
                "input_ids": torch.tensor([row + [0] * (width - len(row)) for row in rows]),
                "attention_mask": torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows]),
            }
        )

    def as_a_build() -> None:
        with tempfile.TemporaryDirectory() as folder, VectorCache.open(Path(folder) / "vectors.sqlite") as cache:
            for _ in CorpusVectors(embedder, cache).iter_vectors(inputs):
                pass

    def bare() -> None:
        with torch.inference_mode(), embedder._precision():
            for batch in batches:
                model(dict(batch))

    def library() -> None:
        model.encode(texts, show_progress_bar=False)

    sides = {"as a build": as_a_build, "bare, same precision": bare, "bare, library defaults": library}
    embedder.embed(inputs[:BATCH_SIZE])
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, side in sides.items():
            seconds[name].append(timed(side))
    rates = {name: len(inputs) / statistics.median(times) for name, times in seconds.items()}
    for name, rate in rates.items():
        spread = f"{len(inputs) / max(seconds[name]):.0f} to {len(inputs) / min(seconds[name]):.0f}"
        sys.stdout.write(f"{name:24} {rate:7.0f} passages/s ({spread})\n")
    for name in list(sides)[1:]:
        sys.stdout.write(f"as a build / {name}: {rates['as a build'] / rates[name]:.2f}\n")


if __name__ == "__main__":
    main()
