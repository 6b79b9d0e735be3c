"""
Writes snapshots until it is killed; test_store_crash.py runs it.

The libraries are imported once. For each line on standard input it forks a writer, prints the writer's process id,
and after the writer's end, how it ended. A writer publishes snapshots of alternating corpora without pause.
"""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

from index.store import IndexDir
from index.testing import HashingEmbedder, tiny_documents, write_tiny_snapshot
from index.vector_cache import VectorCache

LIBRARIES = (tiny_documents(), tiny_documents()[:1], tiny_documents()[1:3], ())


def publish_one(index_dir: IndexDir, n: int) -> None:
    """
    Build the n-th snapshot, with everything a build does: replace by `index.build.build_index` to test that one.
    """
    embedder = HashingEmbedder()
    write_tiny_snapshot(index_dir, LIBRARIES[n % len(LIBRARIES)], embedder)
    with index_dir.lock():
        with VectorCache.open(index_dir.vectors_path) as cache:
            cache.keep_only(embedder.fingerprint, ())
        index_dir.collect(keep=2)


def main() -> None:
    """Fork a writer for each line."""
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            # Begin somewhere else each time: every kind of change is then killed early and late.
            for n in itertools.count(os.getpid()):
                publish_one(IndexDir(Path(sys.argv[1])), n)
        _say(child)
        _, status = os.waitpid(child, 0)
        _say(os.waitstatus_to_exitcode(status))


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
