"""
What the whole of a question leaves of the bare encoder's throughput, and what threads and batches would change.

    python tests/bench/bench_asking.py INDEX_DIR QUESTIONS.jsonl [--no-judge] [--callers 1 2 4] [--n 120] [--rounds 5]

In one process, sides in turn, medians over the rounds; ratios hold on a busy machine, times do not. Printed are:

- questions a second, whole and bare, by the number of threads that ask at a time;
- the bare encoder with one and with two threads of its own (intra-op);
- texts encoded one by one and together, padded to one length, and how many vectors are the same bit for bit.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from index.encoder import GRAPH, OnnxQueryEncoder, encoder_folder, import_onnxruntime, open_encoder
from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from service.answering import answer_question, parse_question
from service.runtime import board_for, policy_for
from service.schemas import AskResponse
from service.settings import Settings

Ask = Callable[[str], object]


def whole(snapshot: Snapshot, encoder: OnnxQueryEncoder, settings: Settings) -> Ask:
    """Return what answers a question as the server does, notices and JSON included."""
    policy, board = policy_for(settings, snapshot), board_for(settings)

    def ask(text: str) -> bytes:
        answer = answer_question(parse_question(text), snapshot, encoder, policy, notices=board)
        return AskResponse.from_answer(answer).model_dump_json().encode()

    return ask


def rate(ask: Ask, texts: Sequence[str], n_callers: int) -> tuple[float, float, float]:
    """Return questions a second, median and 99th percentile in ms, with so many asking at a time."""

    def timed(text: str) -> float:
        started = perf_counter()
        ask(text)
        return 1000 * (perf_counter() - started)

    with ThreadPoolExecutor(n_callers) as pool:
        started = perf_counter()
        times = sorted(pool.map(timed, texts))
        seconds = perf_counter() - started
    return len(texts) / seconds, statistics.median(times), times[int(0.99 * len(times))]


def compare(sides: Mapping[str, Ask], texts: Sequence[str], n_callers: int, n_rounds: int) -> None:
    """Ask all sides in turn and print the medians, and the second side's rate over the first's."""
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in sides}
    for i in range(n_rounds):
        part = texts[i % 7 :: 7]
        for name, ask in sides.items():
            found[name].append(rate(ask, part, n_callers))
    for name, rounds in found.items():
        per_s, p50, p99 = (statistics.median(values) for values in zip(*rounds, strict=True))
        print(f"  {n_callers} at a time, {name}: {per_s:.0f}/s, median {p50:.1f} ms, 99 % {p99:.1f} ms")  # noqa: T201
    first, second = found.values()
    ratios = sorted(b[0] / a[0] for a, b in zip(first, second, strict=True))
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
    print(f"  rate of the second over the first: {statistics.median(ratios):.2f} ({spread})")  # noqa: T201


def with_threads(index_dir: Path, fingerprint: str, n_threads: int) -> OnnxQueryEncoder:
    """Return the encoder with so many threads for one text."""
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = n_threads, 1
    options.enable_cpu_mem_arena = False
    encoder = open_encoder(index_dir, fingerprint)
    graph = str(encoder_folder(index_dir, fingerprint) / GRAPH)
    encoder._session = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return encoder


def together(encoder: Any, texts: Sequence[str]) -> Any:
    """Return the vectors of texts that are padded to the longest and encoded at once."""
    pieces = [encoder._tokenizer.encode(text).ids for text in texts]
    ids = np.zeros((len(pieces), max(map(len, pieces))), np.int64)
    mask = np.zeros_like(ids)
    for row, found in enumerate(pieces):
        ids[row, : len(found)], mask[row, : len(found)] = found, 1
    return encoder._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]


def compare_batches(encoder: OnnxQueryEncoder, texts: Sequence[str], size: int) -> None:
    """Print what encoding some texts at once takes of the time that they take one by one, and what it changes."""
    ratios, n_same = [], 0
    for first in range(0, len(texts) - size + 1, size):
        batch = texts[first : first + size]
        started = perf_counter()
        alone = encoder.encode_queries(batch)
        middle = perf_counter()
        at_once = together(encoder, batch)
        ratios.append((perf_counter() - middle) / (middle - started))
        n_same += sum(a.tobytes() == b.tobytes() for a, b in zip(alone, at_once, strict=True))
    share = f"{n_same} of {len(ratios) * size} vectors are the same"
    print(f"  {size} at once: {statistics.median(ratios):.2f} of the time; {share}")  # noqa: T201


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--n", type=int, default=120, help="questions of one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-judge", action="store_true", help="decide without the judge")
    chosen = parser.parse_args()
    settings = Settings(judge=not chosen.no_judge)
    texts = [json.loads(line)["question"] for line in chosen.questions.read_text("utf-8").splitlines()]
    texts = texts[:: max(1, len(texts) // (7 * chosen.n))]
    with open_snapshot(IndexDir(chosen.index), check_sha256=False) as snapshot:
        fingerprint = snapshot.manifest.model.fingerprint
        encoder = open_encoder(chosen.index, fingerprint)
        bare: dict[str, Ask] = {"bare encoder": lambda text: encoder.encode_queries([text])}
        for n_callers in chosen.callers:
            compare({**bare, "whole question": whole(snapshot, encoder, settings)}, texts, n_callers, chosen.rounds)
        wide = with_threads(chosen.index, fingerprint, 2)
        sides = {"one thread a text": bare["bare encoder"], "two": lambda text: wide.encode_queries([text])}
        for n_callers in chosen.callers:
            compare(sides, texts, n_callers, chosen.rounds)
        for size in (2, 4, 8):
            compare_batches(encoder, texts[:: max(1, len(texts) // 96)][:96], size)


if __name__ == "__main__":
    main()
