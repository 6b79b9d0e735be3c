"""Builders that are killed in every phase, stopped, or may not write: real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from index.build import PHASES, build_index
from index.errors import WriterBusy
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder
from index.verify import verify_snapshot

MOMENTS = [(phase, moment) for phase in PHASES if phase != "gate" for moment in ("begin", "end")]
# From here on the new snapshot is live.
LIVE_FROM = MOMENTS.index(("publish", "end"))


class Builder:
    """A process that forks one builder after another."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.corpus, self.index_dir = folder / "corpus", folder / "index"
        self._process = process

    def start(self, line: str) -> int:
        """Start one build; return its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return int(self._answer())

    def outcome(self) -> Any:
        """Wait for the builder's end; return its exit code and error."""
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@contextmanager
def builder(folder: Path) -> Iterator[Builder]:
    (folder / "corpus").mkdir(parents=True)
    (folder / "corpus" / "stays.md").write_text("# Onset\n\nWithdrawal begins within a day.\n")
    script = Path(__file__).with_name("phase_builder.py")
    # One thread, so that forking is safe.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, str(script), str(folder / "corpus"), str(folder / "index")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        yield Builder(folder, process)
        assert process.stdin is not None
        process.stdin.close()


def leftovers(index_dir: Path) -> list[str]:
    return sorted(path.name for folder in (index_dir, index_dir / "snapshots") for path in folder.glob(".*"))


def test_a_build_killed_in_any_phase_is_live_or_was_never_there(tmp_path: Path) -> None:
    """This ensures that kill -9 at each phase's begin and end leaves one whole snapshot, and the next build mends."""
    index_dir = tmp_path / "index"
    n_staged = 0

    with builder(tmp_path) as builders:
        old = build_index(builders.corpus, index_dir, HashingEmbedder()).snapshot_id
        for number, (phase, moment) in enumerate(MOMENTS):
            changing = builders.corpus / "changes.md"
            changing.write_text(f"# Change\n\nCanary{number}canary stands here.\n")

            builders.start(f"SIGKILL {phase} {moment}")
            exit_code, _ = builders.outcome()

            with open_snapshot(IndexDir(index_dir)) as snapshot:
                sound, live = verify_snapshot(snapshot).is_sound, snapshot.id
            n_staged += bool(leftovers(index_dir))
            assert (exit_code, sound) == (-signal.SIGKILL, True), (phase, moment)
            assert (live == old) == (number < LIVE_FROM), (phase, moment)
            # What the killed build left is gone with the next one, the withdrawn words included.
            changing.unlink()
            old = build_index(builders.corpus, index_dir, HashingEmbedder()).snapshot_id
            assert leftovers(index_dir) == []
            live_bytes = b"".join(p.read_bytes() for p in (index_dir / "snapshots" / old).rglob("*") if p.is_file())
            assert f"anary{number}canary".encode() not in live_bytes.lower()

    assert n_staged > len(MOMENTS) // 2, "the kills fell outside of builds: the test proves nothing"


def test_a_second_builder_is_told_of_the_first_and_harms_nothing(tmp_path: Path) -> None:
    """This ensures that while one process builds another one is refused with its id, and the first one publishes."""
    with builder(tmp_path) as builders:
        first = builders.start("SIGSTOP embed begin")
        _wait_until_stopped(first)
        try:
            with pytest.raises(WriterBusy, match=f"process {first}"):
                build_index(builders.corpus, builders.index_dir, HashingEmbedder())
            before = IndexDir(builders.index_dir).current_id()
        finally:
            os.kill(first, signal.SIGCONT)
        outcome = builders.outcome()

    assert before is None
    assert outcome == [0, []]
    with open_snapshot(IndexDir(tmp_path / "index")) as snapshot:
        assert verify_snapshot(snapshot).is_sound


def test_a_folder_that_may_not_be_written_is_named_and_keeps_its_index() -> None:
    """This ensures that a missing right to write is one storage error with advice, and readers go on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with builder(folder) as builders:
            live = build_index(builders.corpus, builders.index_dir, HashingEmbedder()).snapshot_id
            tree = [builders.index_dir, *builders.index_dir.rglob("*")]
            for path in tree:
                path.chmod(0o555 if path.is_dir() else 0o444)

            builders.start("readonly")
            exit_code, (code, where, fix) = builders.outcome()

            for path in tree:
                path.chmod(0o755 if path.is_dir() else 0o644)
        assert (exit_code, code) == (0, "storage_failed")
        assert where.startswith(str(folder / "index"))
        assert "right to write" in fix
        with open_snapshot(IndexDir(folder / "index")) as snapshot:
            assert (snapshot.id, verify_snapshot(snapshot).is_sound) == (live, True)


def test_a_disk_that_fills_up_in_a_build_keeps_the_old_index(tmp_path: Path) -> None:
    """This ensures that wherever writing stops, the error says what to do and nothing half-built stays."""
    outcomes = []

    with builder(tmp_path) as builders:
        live = build_index(builders.corpus, builders.index_dir, HashingEmbedder()).snapshot_id
        (builders.corpus / "changes.md").write_text("# Change\n\nThere is more to write.\n")
        for limit in (0, 100, 400, 1_000, 2_000, 3_000, 8_000, 20_000):
            builders.start(f"limit {limit}")
            exit_code, error = builders.outcome()
            outcomes.append((exit_code, error[:1]))
            with open_snapshot(IndexDir(builders.index_dir)) as snapshot:
                assert (snapshot.id, verify_snapshot(snapshot).is_sound) == (live, True)
            assert "live snapshot is untouched" in error[2]
            assert leftovers(builders.index_dir) == []
        after = build_index(builders.corpus, builders.index_dir, HashingEmbedder())

    assert outcomes == [(0, ["storage_failed"])] * 8
    assert after.n_documents == 2


def _wait_until_stopped(process_id: int) -> None:
    """Wait until a process of another parent has stopped itself."""
    while Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        os.sched_yield()
