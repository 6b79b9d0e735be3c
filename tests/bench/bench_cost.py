"""
What a question costs in two versions of the code, asked in turn in one run. Without notices.

    git worktree add /tmp/before COMMIT
    python tests/bench/bench_cost.py /tmp/before . INDEX_DIR QUESTIONS.jsonl [N]

Both versions must be able to read the index. Each answers in a process of its own; every question goes to one and then
to the other, three times over, and the fastest of the three counts, so that other load on the machine falls on both.
Printed are wall time and the answering thread's processor time: the first includes what the model's own threads wait.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

N_ROUNDS = 3
N_QUESTIONS = 200


def answer_all(index_dir: Path) -> None:
    """Answer each question of the standard input and print the two times in milliseconds; the worker's part."""
    from index.encoder import open_encoder
    from index.snapshot import open_snapshot
    from index.store import IndexDir
    from service.answering import AnswerPolicy, answer_question, parse_question

    with open_snapshot(IndexDir(index_dir)) as snapshot:
        encoder = open_encoder(index_dir, snapshot.manifest.model.fingerprint)
        try:
            from service.runtime import policy_for
            from service.settings import Settings

            policy = policy_for(Settings(), snapshot)
        except ImportError:  # a version from before there were names and calibration
            policy = AnswerPolicy()
        policy = replace(policy, min_confidence=0.0)
        answer_question(parse_question("warm up"), snapshot, encoder, policy)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for line in sys.stdin:
            question = parse_question(json.loads(line))
            wall, cpu = perf_counter(), thread_time()
            answer_question(question, snapshot, encoder, policy)
            sys.stdout.write(f"{1000 * (perf_counter() - wall)} {1000 * (thread_time() - cpu)}\n")
            sys.stdout.flush()


def start(tree: Path, index_dir: Path) -> Any:
    """Start a worker on the code of one tree and wait until it answers."""
    command = [sys.executable, __file__, "--worker", str(index_dir.resolve())]
    others = os.environ.get("PYTHONPATH", "")
    environment = {**os.environ, "PYTHONPATH": f"{tree.resolve()}{os.pathsep}{others}"}
    worker = subprocess.Popen(
        command, cwd=tree, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    if worker.stdout.readline().strip() != "ready":
        raise SystemExit(f"the code in {tree} does not answer")
    return worker


def ask(worker: Any, question: str) -> tuple[float, float]:
    """Return wall and processor time of one question."""
    worker.stdin.write(json.dumps(question) + "\n")
    worker.stdin.flush()
    wall, cpu = map(float, worker.stdout.readline().split())
    return wall, cpu


def main() -> None:
    """Ask and print medians, means and 95th percentiles."""
    before, after, index_dir, questions = map(Path, sys.argv[1:5])
    n = int(sys.argv[5]) if len(sys.argv) > 5 else N_QUESTIONS
    texts = [json.loads(line)["question"] for line in questions.read_text("utf-8").splitlines()]
    texts = texts[:: max(1, len(texts) // n)]
    workers = {"before": start(before, index_dir), "after": start(after, index_dir)}
    times: dict[str, list[list[tuple[float, float]]]] = {name: [[] for _ in texts] for name in workers}
    for _ in range(N_ROUNDS):
        for i, text in enumerate(texts):
            for name, worker in workers.items():
                times[name][i].append(ask(worker, text))
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    for place, what in enumerate(("wall", "processor")):
        best = {name: sorted(min(t[place] for t in tries) for tries in rows) for name, rows in times.items()}
        medians = {name: statistics.median(values) for name, values in best.items()}
        sys.stdout.write(f"{what}, {len(texts)} questions: times {medians['after'] / medians['before']:.2f}\n")
        for name, values in best.items():
            p95 = values[int(0.95 * len(values))]
            sys.stdout.write(
                f"  {name}: median {medians[name]:.2f} ms, mean {statistics.mean(values):.2f}, 95 % {p95:.1f}\n"
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        answer_all(Path(sys.argv[2]))
    else:
        main()
