"""
Compares the time of a question with crisis notices and without, on the same snapshot in the same run.

    python tests/bench/bench_notices.py INDEX_DIR [QUESTIONS.jsonl ...] [--rounds 5]

Sides alternate question by question, first one first, then the other; a question counts by its median over the rounds.
Printed apart for short questions and for messages that are judged in windows. The floor of issue 3: 1.5 at the median.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from index.encoder import open_encoder
from index.snapshot import open_snapshot
from index.store import IndexDir
from service.answer import Question
from service.answering import answer_question
from service.danger_text import split_windows
from service.notices import NoticeBoard

ROOT = Path(__file__).parents[2]
DEFAULT = [ROOT / "tests" / "quality" / "starter-questions.jsonl"]


def timed(side: Callable[[], object]) -> float:
    """Return the milliseconds of one call."""
    start = time.perf_counter()
    side()
    return 1000.0 * (time.perf_counter() - start)


def main() -> None:
    """Print medians and 95th percentiles of both sides and the ratio of medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index_dir", type=Path)
    parser.add_argument("questions", type=Path, nargs="*", default=DEFAULT)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    texts = [
        json.loads(line)["question"] for path in options.questions for line in path.read_text("utf-8").splitlines()
    ]
    board = NoticeBoard.load(ROOT / "corpus" / "notices.toml")
    with open_snapshot(IndexDir(options.index_dir)) as snapshot:
        encoder = open_encoder(options.index_dir, snapshot.manifest.model.fingerprint)
        times: dict[str, tuple[list[float], list[float]]] = {}
        for text in texts:
            question = Question(text)
            sides = (
                lambda q=question: answer_question(q, snapshot, encoder, notices=board),
                lambda q=question: answer_question(q, snapshot, encoder),
            )
            for side in sides:
                side()
            rounds: tuple[list[float], list[float]] = ([], [])
            for number in range(options.rounds):
                for place in (0, 1) if number % 2 else (1, 0):
                    rounds[place].append(timed(sides[place]))
            length = "long" if len(split_windows(text)) > 1 else "short"
            for name in ("all", length):
                kept = times.setdefault(name, ([], []))
                for place in (0, 1):
                    kept[place].append(statistics.median(rounds[place]))
    for name, (with_notices, without) in sorted(times.items()):
        medians = [statistics.median(side) for side in (with_notices, without)]
        p95 = [sorted(side)[int(0.95 * (len(side) - 1))] for side in (with_notices, without)]
        ratio = medians[0] / medians[1]
        sys.stdout.write(
            f"{name}: {len(without)} questions, median {medians[0]:.1f} ms with notices, {medians[1]:.1f} ms without,"
            f" ratio {ratio:.2f}; p95 {p95[0]:.1f} and {p95[1]:.1f} ms\n"
        )


if __name__ == "__main__":
    main()
