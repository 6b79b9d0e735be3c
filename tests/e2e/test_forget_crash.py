"""Forgetting that is killed at any moment, and services that go on meanwhile."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from index.build import build_index
from index.errors import DocumentUnknown
from index.forget import forget_document
from index.live import LiveSnapshot
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder

N_KILLS = 14
# More only where hardly a kill fell into the work, as on a machine that is busy by turns.
MOST_KILLS = 80
CANARY = "Xyzzyquux stands here alone. It may not be read again by anybody."
# One process imports the libraries once and forks a child for each line; the child forgets and says so.
FORGETTER = """
import os, sys
from pathlib import Path
from index.build import build_index
from index.forget import forget_document
from index.testing import HashingEmbedder
corpus, index_dir = Path(sys.argv[1]), Path(sys.argv[2])
build_index(corpus, index_dir.with_name("first"), HashingEmbedder())
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            forget_document("gone.md", corpus, index_dir, HashingEmbedder)
        finally:
            os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


def write_corpus(corpus: Path) -> None:
    corpus.mkdir(exist_ok=True)
    for n in range(6):
        (corpus / f"keep-{n}.md").write_text(f"# Part {n}\n\nThis stays here for everybody, number {n}.\n")
    (corpus / "gone.md").write_text(f"# Gone\n\n{CANARY}\n")


def holding_files(folder: Path) -> list[str]:
    return [str(p) for p in folder.rglob("*") if p.is_file() and b"Xyzzyquux" in p.read_bytes()]


def test_a_killed_run_is_finished_by_the_next(tmp_path: Path) -> None:
    """This ensures that readers always see a whole index, and that the next run leaves nothing, whenever it died."""
    corpus, index_dir = tmp_path / "corpus", IndexDir(tmp_path / "index")
    moments = random.Random(20261122)
    unfinished = 0
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    write_corpus(corpus)
    with subprocess.Popen(
        [sys.executable, "-c", FORGETTER, str(corpus), str(index_dir.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        whole_s = float("inf")  # how long a run takes that is left alone: the first
        for n_run in range(MOST_KILLS):
            if n_run > N_KILLS and unfinished > 2:
                break
            write_corpus(corpus)
            for _ in range(2):
                build_index(corpus, index_dir.path, HashingEmbedder())
            (corpus / "gone.md").unlink()
            process.stdin.write("go\n")
            process.stdin.flush()
            begun_s = time.monotonic()
            child = int(process.stdout.readline())
            pidfd = os.pidfd_open(child)
            select.select([pidfd], [], [], None if n_run == 0 else moments.uniform(0.0, 0.9 * whole_s))
            whole_s = min(whole_s, time.monotonic() - begun_s) if n_run == 0 else whole_s
            with suppress(ProcessLookupError):  # it was quicker
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
            assert process.stdout.readline() == "ended\n"

            with open_snapshot(index_dir) as snapshot:
                assert snapshot.catalogue.passages(range(snapshot.manifest.counts.passages))
            unfinished += bool(holding_files(index_dir.path))
            try:
                assert forget_document("gone.md", corpus, index_dir.path, HashingEmbedder).is_complete
            except DocumentUnknown:
                assert holding_files(index_dir.path) == [], "the first run had not finished"
            assert holding_files(index_dir.path) == []
            assert index_dir.leftovers() == []
        process.stdin.close()

    assert unfinished > 2, "hardly a kill fell into the work: the test proves nothing"


def test_a_service_goes_on_while_its_snapshot_is_deleted(tmp_path: Path) -> None:
    """This ensures that requests under way end in the old snapshot, and the next look takes the new one."""
    corpus, index_dir = tmp_path / "corpus", IndexDir(tmp_path / "index")
    write_corpus(corpus)
    build_index(corpus, index_dir.path, HashingEmbedder())
    live = LiveSnapshot(IndexDir(index_dir.path))
    assert live.refresh()
    (corpus / "gone.md").unlink()

    with live.use() as held:
        forget_document("gone.md", corpus, index_dir.path, HashingEmbedder)
        n_held = len(held.catalogue.passages_of("gone.md"))
        is_new = live.refresh()

    with live.use() as snapshot:
        n_left = len(snapshot.catalogue.passages_of("gone.md"))
    live.close()
    assert (n_held, is_new, n_left) == (1, True, 0)
