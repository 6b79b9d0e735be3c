"""A writer killed at any moment never harms a reader."""

import os
import random
import select
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from index.errors import NoSnapshot
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import write_tiny_snapshot

N_KILLS = 60
# A publication takes about 0.1 s: kills fall before, into and after the first, second, third ...
LONGEST_LIFE_S = 0.6


@contextmanager
def writers(index_dir: IndexDir) -> Iterator[subprocess.Popen[str]]:
    script = Path(__file__).with_name("store_writer.py")
    # One thread, so that forking is safe.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, str(script), str(index_dir.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def look(index_dir: IndexDir, seen: Counter[str]) -> None:
    """Open the current snapshot with all its checks, and read from it; any failure ends the test."""
    try:
        with open_snapshot(index_dir) as snapshot:
            n = snapshot.manifest.counts.passages
            assert len(snapshot.catalogue.passages(range(n))) == n
            seen[snapshot.id] += 1
    except NoSnapshot:
        assert not seen, "a snapshot had been there already"


def test_a_reader_always_sees_a_complete_snapshot(tmp_path: Path) -> None:
    """This ensures that neither a build nor a collection that is killed at any moment leaves a reader without index."""
    index_dir = IndexDir(tmp_path / "index")
    moments = random.Random(20261122)
    seen: Counter[str] = Counter()
    n_leftovers = 0

    with writers(index_dir) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(N_KILLS):
            process.stdin.write("go\n")
            process.stdin.flush()
            writer = int(process.stdout.readline())
            life = moments.uniform(0, LONGEST_LIFE_S)
            # Reading goes on while the writer lives; select is a wait that a dying writer ends early.
            pidfd = os.pidfd_open(writer)
            for _ in range(4):
                ended, _, _ = select.select([pidfd], [], [], life / 4)
                assert not ended, "the writer died by itself"
                look(index_dir, seen)
            os.kill(writer, signal.SIGKILL)
            os.close(pidfd)
            assert int(process.stdout.readline()) == -signal.SIGKILL
            look(index_dir, seen)
            n_leftovers += len(leftovers(index_dir))

    assert len(seen) > 20, "too few publications were seen: the test proves nothing"
    assert n_leftovers > 0, "no kill fell into a build: the test proves nothing"
    last = write_tiny_snapshot(index_dir)
    assert leftovers(index_dir) == []
    look(index_dir, seen)
    assert index_dir.current_id() == last


def leftovers(index_dir: IndexDir) -> list[str]:
    """Return what killed writers left lying about."""
    if not index_dir.snapshots_path.is_dir():
        return []
    inside = [p.name for p in index_dir.snapshots_path.iterdir() if p.name.startswith(".")]
    return inside + [p.name for p in index_dir.path.iterdir() if p.name.startswith(".")]
