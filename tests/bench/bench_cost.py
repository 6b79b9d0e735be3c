"""
What a question costs in two versions of the code, asked in turn in one run, and whether they reply the same.

    git worktree add /tmp/before COMMIT
    python tests/bench/bench_cost.py /tmp/before . INDEX_DIR QUESTIONS.jsonl [N] [--other-index INDEX_DIR]

Both versions must be able to read the index; the second one may have the same library in another format. Each answers
in a process of its own, with notices, up to the bytes that are sent; every question goes to one and then to the other,
three times over, and the fastest of the three counts, so that other load on the machine falls on both. Printed are wall
time, the answering thread's processor time, and what of each is not the model: the time outside of the encoder's graph.
Replies are compared byte for byte, except for the time that they say they took; it exits 1 where one differs.
"""

from __future__ import annotations

import argparse
import hashlib
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
TIMES = ("wall", "processor", "wall without the model", "processor without the model")


class TimedSession:
    """The encoder's graph with the time that its runs took, in seconds: wall and this thread's processor time."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.wall_s = self.cpu_s = 0.0

    def run(self, *values: Any) -> Any:
        """Run the graph."""
        wall, cpu = perf_counter(), thread_time()
        outputs = self._session.run(*values)
        self.wall_s += perf_counter() - wall
        self.cpu_s += thread_time() - cpu
        return outputs


def answer_all(index_dir: Path) -> None:
    """Answer each question of the standard input; print four times in ms and the reply's hash; the worker's part."""
    from index.encoder import open_encoder
    from index.snapshot import open_snapshot
    from index.store import IndexDir
    from service.answering import answer_question, parse_question
    from service.runtime import board_for, policy_for
    from service.schemas import AskResponse
    from service.settings import Settings

    settings = Settings()
    with open_snapshot(IndexDir(index_dir), check_sha256=False) as snapshot:
        encoder = open_encoder(index_dir, snapshot.manifest.model.fingerprint)
        encoder._session = session = TimedSession(encoder._session)
        policy, board = policy_for(settings, snapshot), board_for(settings)
        answer_question(parse_question("warm up"), snapshot, encoder, policy, notices=board)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for line in sys.stdin:
            asked = json.loads(line)
            session.wall_s = session.cpu_s = 0.0
            wall, cpu = perf_counter(), thread_time()
            question = parse_question(asked["question"], top_k=asked["top_k"], explain=asked["explain"])
            answer = answer_question(question, snapshot, encoder, policy, notices=board)
            AskResponse.from_answer(answer).model_dump_json().encode()
            times = [perf_counter() - wall, thread_time() - cpu]
            times += [times[0] - session.wall_s, times[1] - session.cpu_s]
            # The index's name and age belong to it, not to the answer.
            told = replace(answer, took_ms=0.0, snapshot_id="same", built_at="same")
            reply = AskResponse.from_answer(told).model_dump_json().encode()
            sha256 = hashlib.sha256(reply).hexdigest()
            sys.stdout.write(f"{' '.join(str(1000 * time) for time in times)} {sha256}\n")
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


def ask(worker: Any, question: dict[str, Any]) -> tuple[tuple[float, ...], str]:
    """Return the times of one question in ms, in the order of `TIMES`, and the hash of its reply."""
    worker.stdin.write(json.dumps(question) + "\n")
    worker.stdin.flush()
    *times, sha256 = worker.stdout.readline().split()
    return tuple(map(float, times)), sha256


def compare(workers: dict[str, Any], questions: list[dict[str, Any]]) -> int:
    """Ask all questions of both, print the times, and return how many replies differ."""
    times: dict[str, list[list[tuple[float, ...]]]] = {name: [[] for _ in questions] for name in workers}
    differing: set[int] = set()
    for _ in range(N_ROUNDS):
        for i, question in enumerate(questions):
            replies = set()
            for name, worker in workers.items():
                found, sha256 = ask(worker, question)
                times[name][i].append(found)
                replies.add(sha256)
            if len(replies) > 1:
                differing.add(i)
    for place, what in enumerate(TIMES):
        best = {name: sorted(min(t[place] for t in tries) for tries in rows) for name, rows in times.items()}
        medians = {name: statistics.median(values) for name, values in best.items()}
        sys.stdout.write(f"{what}, {len(questions)} questions: times {medians['after'] / medians['before']:.2f}\n")
        for name, values in best.items():
            p95 = values[int(0.95 * len(values))]
            sys.stdout.write(
                f"  {name}: median {medians[name]:.2f} ms, mean {statistics.mean(values):.2f}, 95 % {p95:.1f}\n"
            )
    sys.stdout.write(f"replies that differ: {len(differing)} of {len(questions)}\n")
    return len(differing)


def main() -> None:
    """Ask, print, and exit 1 where replies differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("before", "after", "index", "questions"):
        parser.add_argument(name, type=Path)
    parser.add_argument("n", type=int, nargs="?", default=N_QUESTIONS)
    parser.add_argument("--other-index", type=Path)
    parser.add_argument("--top-k", type=int, default=5)
    parser.add_argument("--explain", action="store_true")
    chosen = parser.parse_args()
    texts = [json.loads(line)["question"] for line in chosen.questions.read_text("utf-8").splitlines()]
    texts = texts[:: max(1, len(texts) // chosen.n)]
    questions = [{"question": text, "top_k": chosen.top_k, "explain": chosen.explain} for text in texts]
    workers = {
        "before": start(chosen.before, chosen.index),
        "after": start(chosen.after, chosen.other_index or chosen.index),
    }
    n_differing = compare(workers, questions)
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    sys.exit(1 if n_differing else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        answer_all(Path(sys.argv[2]))
    else:
        main()
