"""
Memory of a serving process over many questions of mixed length, and over many switches of the snapshot.

`python tests/bench/bench_serving_memory.py var/index` prints resident memory as it goes; `--questions 10000` and
`--switches 30` are the defaults. It serves a copy of the index, so that the switches are its own.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from serving import Server, serving

from index.store import IndexDir

_WORDS = (  # noqa: SIM905  readable as prose
    "how long does methadone stay in the body and what about naloxone when somebody I know has stopped breathing after "
    "heroin withdrawal symptoms sleep pain doctor clinic dose buprenorphine naltrexone relapse family help treatment "
    "detox anxiety depression sweating days weeks pregnant baby kidney liver driving work travel side effects"
).split()


def mixed_questions(n: int, seed: int = 7) -> Iterator[str]:
    """Yield questions of 3 words to 4,000 characters, most of them short, always the same ones."""
    chance = random.Random(seed)
    for _ in range(n):
        n_words = min(650, int(chance.lognormvariate(2.6, 1.2)) + 3)
        yield " ".join(chance.choices(_WORDS, k=n_words))[:4_000]


def ask_all(server: Server, questions: Iterator[str], n_clients: int = 4) -> int:
    """Ask them from several clients at a time; return how many were not answered with 200."""
    lock, failed = threading.Lock(), []

    def run() -> None:
        while True:
            with lock:
                question = next(questions, None)
            if question is None:
                return
            if (status := server.ask(question).status) != 200:
                failed.append(status)

    threads = [threading.Thread(target=run) for _ in range(n_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(failed)


def megabytes(server: Server) -> float:
    """Return the resident memory of all serving processes in MB."""
    return sum(server.resident_bytes()) / 1e6


def switch(server: Server, index_dir: IndexDir, names: list[str], n: int) -> Iterator[float]:
    """Point CURRENT at one snapshot after the other; yield memory after each switch, once it is quiet."""
    for number in range(n):
        name = names[number % len(names)]
        index_dir.rollback(name)
        server.wait_until(lambda name=name: server.send("/v1/health").json()["snapshot"]["id"] == name)
        ask_all(server, mixed_questions(2, seed=number))
        yield megabytes(server)


def copy_with_two_snapshots(index: Path, folder: Path) -> tuple[IndexDir, list[str]]:
    """Copy an index and its snapshot under a second name, so that there is something to switch between."""
    shutil.copytree(index, folder)
    copied = IndexDir(folder)
    names = [copied.current_id() or ""]
    other = names[0][:-8] + "0123abcd"
    path = copied.snapshot_path(other)
    shutil.copytree(copied.snapshot_path(names[0]), path)
    manifest = path / "manifest.json"
    manifest.write_text(manifest.read_text("utf-8").replace(names[0], other), "utf-8")
    return copied, [other, *names]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path)
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--switches", type=int, default=30)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        index_dir, names = copy_with_two_snapshots(chosen.index, Path(folder) / "index")
        variables = {"CITEWELL_RATE_LIMIT": "off", "CITEWELL_REFRESH_S": "0.1"}
        with serving(index_dir.path, Path(folder) / "served", **variables) as server:
            print(f"started: {megabytes(server):.0f} MB")  # noqa: T201
            questions, step = mixed_questions(chosen.questions), 1_000
            for done in range(0, chosen.questions, step):
                started = time.monotonic()
                n_failed = ask_all(server, (q for q, _ in zip(questions, range(step), strict=False)))
                rate = step / (time.monotonic() - started)
                print(f"{done + step} questions: {megabytes(server):.0f} MB, {rate:.0f}/s, {n_failed} failed")  # noqa: T201
            for number, size in enumerate(switch(server, index_dir, names, chosen.switches), start=1):
                print(f"switch {number}: {size:.0f} MB")  # noqa: T201


if __name__ == "__main__":
    main()
