"""
Measure finding the nearest passages, exactly and as a build chooses it.

    python tests/bench/bench_dense.py INDEX_DIR QUESTIONS.jsonl [--sizes 10000,46000,100000,350000] [--whole]

The snapshot's own vectors are taken up to as many as there are; larger sizes are made of them: each further row is one
of them with noise of 0.6 of its length added, so that rows cluster as real ones do. Both sides are asked in turn, so
that other load falls on both; times are of one thread. `--whole` asks whole questions of the snapshot, with
its own dense index and then exactly, in turn.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from index.dense import DenseIndex, write_dense
from index.dense_choice import exact_thresholds, measure_recall, write_chosen_dense
from index.dense_config import CANDIDATES_FILE, DENSE_FILE, DenseConfig
from index.encoder import open_encoder
from index.model import Float32
from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir

DEPTH = 200
NOISE = 0.6


def enlarged(vectors: Float32, n: int) -> Float32:
    """Return n rows: the given ones, then noisy ones made of them."""
    if n <= len(vectors):
        return np.ascontiguousarray(vectors[np.linspace(0, len(vectors) - 1, n).astype(np.int64)])
    rng = np.random.default_rng(0)
    parts = [vectors]
    missing = n - len(vectors)
    while missing > 0:
        rows = vectors[rng.permutation(len(vectors))[:missing]]
        moved = rows + NOISE * rng.standard_normal(rows.shape, dtype=np.float32) / np.sqrt(np.float32(rows.shape[1]))
        unit = moved / np.linalg.norm(moved, axis=1, keepdims=True)
        parts.append(unit.astype(np.float16).astype(np.float32))
        missing -= len(rows)
    return np.ascontiguousarray(np.concatenate(parts))


def in_turn(sides: dict[str, Callable[[int], object]], n: int) -> dict[str, tuple[float, float]]:
    """
    Return the median and the 95th percentile of each side's milliseconds.

    Each question is asked once before, untimed, and the sides take turns in going first: what a question brings into
    caches serves them alike.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for i in range(n):
        order = list(sides.items())[:: 1 if i % 2 else -1]
        order[0][1](i)
        for name, ask in order:
            start = time.perf_counter()
            ask(i)
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: (statistics.median(t), float(np.percentile(t, 95))) for name, t in times.items()}


def private_mb() -> float:
    """Return the memory that no file backs, in MB: every further process needs as much again."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1024


def measure(vectors: Float32, queries: Float32, index: str) -> None:
    """Print one row."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.monotonic()
        write_dense(folder / DENSE_FILE, vectors)
        plain = time.monotonic() - start
        start = time.monotonic()
        choice = write_chosen_dense(folder, vectors, DenseConfig(index, exact_up_to=0 if index == "auto" else 1))
        seconds = time.monotonic() - start
        candidates = folder / CANDIDATES_FILE
        exact = DenseIndex.open(folder / DENSE_FILE)
        before = private_mb()
        chosen = DenseIndex.open(folder / DENSE_FILE, candidates if candidates.exists() else None, choice.effort)
        half = np.arange(len(vectors)) % 2 == 0
        sides: dict[str, Callable[[int], object]] = {
            "exact": lambda i: exact.search(queries[i], DEPTH),
            "chosen": lambda i: chosen.search(queries[i], DEPTH),
            "exact, half allowed": lambda i: exact.search(queries[i], DEPTH, half),
            "chosen, half allowed": lambda i: chosen.search(queries[i], DEPTH, half),
        }
        found = in_turn(sides, len(queries))
        at_10, at_200 = measure_recall(chosen, queries, exact_thresholds(vectors, queries))
        shown = ", ".join(f"{side} {median:.2f} / {p95:.2f} ms" for side, (median, p95) in found.items())
        size = candidates.stat().st_size / 1e6 if candidates.exists() else 0.0
        sys.stdout.write(
            f"{len(vectors)} passages: {choice.index} at {choice.effort} (told {choice.recall_at_10:.3f} / "
            f"{choice.recall_at_200:.3f}); recall on the questions {at_10:.3f} / {at_200:.3f}; {shown}; "
            f"files {(folder / DENSE_FILE).stat().st_size / 1e6:.0f} + {size:.0f} MB, private memory of the second "
            f"{private_mb() - before:.1f} MB; built in {seconds:.1f} s, exact in {plain:.1f} s\n"
        )
        sys.stdout.flush()


def measure_whole(snapshot: Snapshot, index_dir: Path, texts: list[str]) -> None:
    """Print what whole questions take with the snapshot's dense index and without it."""
    from service.answering import answer_question, parse_question
    from service.runtime import policy_for
    from service.settings import Settings

    encoder = open_encoder(index_dir, snapshot.manifest.model.fingerprint)
    policy = policy_for(Settings(), snapshot)
    exact = dataclasses.replace(snapshot, dense=snapshot.dense.with_candidates(None))
    questions = [parse_question(text) for text in texts]
    for question in questions[:5]:
        answer_question(question, snapshot, encoder, policy)
    sides: dict[str, Callable[[int], object]] = {
        "exact": lambda i: answer_question(questions[i], exact, encoder, policy),
        snapshot.manifest.dense.index: lambda i: answer_question(questions[i], snapshot, encoder, policy),
    }
    for name, (median, p95) in in_turn(sides, len(questions)).items():
        sys.stdout.write(f"whole question, {name}: {median:.2f} / {p95:.2f} ms\n")


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("index_dir", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--sizes", default="10000,20000,30000,46000,100000,350000")
    parser.add_argument("--index", default="auto", help='"auto", or a factory string')
    parser.add_argument("--n", type=int, default=200, help="questions asked")
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()
    texts = [json.loads(line)["question"] for line in options.questions.read_text("utf-8").splitlines()]
    texts = texts[:: max(1, len(texts) // options.n)][: options.n]
    with open_snapshot(IndexDir(options.index_dir), check_sha256=False) as snapshot:
        if options.whole:
            measure_whole(snapshot, options.index_dir, texts)
            return
        encoder = open_encoder(options.index_dir, snapshot.manifest.model.fingerprint)
        queries = np.concatenate([encoder.encode_queries([text]) for text in texts])
        vectors = snapshot.dense.vectors(np.arange(snapshot.dense.n))
    for size in options.sizes.split(","):
        measure(enlarged(vectors, int(size)), queries, options.index)


if __name__ == "__main__":
    main()
