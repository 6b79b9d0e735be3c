"""
Builds snapshots until it is killed; test_store_crash.py runs it.

The libraries are imported once. For each line on standard input it forks a writer, prints the writer's process id,
and after the writer's end, how it ended. A writer builds the index of alternating corpora without pause.
"""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

from index.build import BuildConfig, build_index
from index.testing import HashingEmbedder

N_CORPORA = 3


def write_corpora(folder: Path) -> tuple[Path, ...]:
    """Write small corpora that share some text, so that builds add, reuse and withdraw."""
    corpora = []
    for number in range(N_CORPORA):
        corpus = folder / str(number)
        corpus.mkdir(parents=True)
        (corpus / "shared.md").write_text("# Onset\n\nWithdrawal begins within a day.\n")
        for i in range(number):
            (corpus / f"{i}.txt").write_text(f"Document {i} of corpus {number} says something about relapse.\n")
        corpora.append(corpus)
    return tuple(corpora)


def main() -> None:
    """Fork a writer for each line."""
    index_dir = Path(sys.argv[1])
    corpora = write_corpora(index_dir.with_name("corpora"))
    # Once before forking, so that each writer finds its libraries loaded.
    build_index(corpora[0], index_dir.with_name("first"), HashingEmbedder())
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            # Begin somewhere else each time: every kind of change is then killed early and late.
            for n in itertools.count(os.getpid()):
                build_index(corpora[n % N_CORPORA], index_dir, HashingEmbedder(), BuildConfig(keep_snapshots=2))
        _say(child)
        _, status = os.waitpid(child, 0)
        _say(os.waitstatus_to_exitcode(status))


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
