"""
Compares embedding a corpus, as a build does it, with the library that it is built on, on the same texts in one run.

    python tests/bench/bench_embedding.py INDEX_DIR [--passages 2000] [--rounds 5]

Sides alternate; the figures are medians and the ratio of medians. "Library" is `SentenceTransformer.encode` as its
documentation calls it: float32, batches of 32, one vector for each text (a build makes one for each sentence besides).
"As a build" includes the embedding cache; it is measured with bfloat16, where the processor has it, and in float32.
"Bare" is the model's forward pass alone, on the batches and threads of the build, with bfloat16. Seconds of processor
time are told beside those of the clock: on a machine with other work they say more.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from index.embed import SentenceTransformerEmbedder
from index.embed_corpus import CorpusVectors
from index.model import EmbeddingInput
from index.model_files import find_model
from index.model_loading import load_model
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


def timed(side: Callable[[], object]) -> tuple[float, float]:
    start, start_cpu = time.perf_counter(), time.process_time()
    side()
    return time.perf_counter() - start, time.process_time() - start_cpu


def as_a_build(embedder: SentenceTransformerEmbedder, inputs: list[EmbeddingInput]) -> None:
    with tempfile.TemporaryDirectory() as folder, VectorCache.open(Path(folder) / "vectors.sqlite") as cache:
        for _ in CorpusVectors(embedder, cache).iter_vectors(inputs):
            pass


def main() -> None:
    """Print passages per second of each side and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index_dir", type=Path)
    parser.add_argument("--passages", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    inputs = sample(options.index_dir, options.passages)
    embedder = SentenceTransformerEmbedder(find_model())
    exact = SentenceTransformerEmbedder(find_model(), allow_bf16=False)
    model = load_model(find_model())
    texts = [f"{item.prefix} {item.text}" for item in inputs]
    encoded = embedder._encode_all(inputs)
    batches = [embedder._tensors(width, [encoded[i] for i in rows]) for width, rows in embedder._batches(encoded)]

    def bare() -> None:
        with embedder._workers() as (pool, _):
            list(pool.map(embedder._run, batches))

    sides: dict[str, Callable[[], object]] = {
        "as a build": lambda: as_a_build(embedder, inputs),
        "as a build, float32": lambda: as_a_build(exact, inputs),
        "bare": bare,
        "library": lambda: model.encode(texts, show_progress_bar=False),
    }
    for warmed in (embedder, exact):
        warmed.embed(inputs[:16])
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, side in sides.items():
            seconds[name].append(timed(side))
    n = len(inputs)
    clock = {name: n / statistics.median(wall for wall, _ in times) for name, times in seconds.items()}
    processor = {name: n / statistics.median(cpu for _, cpu in times) for name, times in seconds.items()}
    for name in sides:
        walls = [wall for wall, _ in seconds[name]]
        spread = f"{n / max(walls):.0f} to {n / min(walls):.0f}"
        sys.stdout.write(f"{name:20} {clock[name]:6.0f} passages/s ({spread}), {processor[name]:.0f} per cpu second\n")
    for first, second in (("as a build", "library"), ("as a build, float32", "library"), ("as a build", "bare")):
        by_clock, by_processor = clock[first] / clock[second], processor[first] / processor[second]
        sys.stdout.write(f"{first} / {second}: {by_clock:.2f}; by cpu seconds {by_processor:.2f}\n")


if __name__ == "__main__":
    main()
