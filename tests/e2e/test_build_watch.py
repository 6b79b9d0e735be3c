"""`citewell build --watch` as an editor leaves it running: a real process, a real folder, real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from index.snapshot import open_snapshot
from index.store import IndexDir

LONGEST_S = 60.0


class Watched:
    """A running `citewell build --watch`, what it printed, and its folders."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder, self.corpus, self.index_dir = folder, folder / "corpus", folder / "index"
        self.process = process

    def reports(self) -> list[dict[str, Any]]:
        """Return the reports so far."""
        return [
            json.loads(line) for line in (self.folder / "out").read_text().splitlines(keepends=True) if "\n" in line
        ]

    def said(self) -> str:
        """Return what was written for people so far."""
        return (self.folder / "err").read_text()

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds; the process must not end meanwhile."""
        deadline = time.monotonic() + LONGEST_S
        while not condition():
            assert time.monotonic() < deadline, self.said()
            # A wait that the process's end cuts short.
            with suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"ended with {self.process.wait(0.02)}: {self.said()}")

    def end(self, number: signal.Signals) -> int:
        """Send a signal; return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(LONGEST_S)


@contextmanager
def watch(folder: Path) -> Iterator[Watched]:
    script = Path(__file__).with_name("watch_runner.py")
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-u", str(script), str(folder / "corpus"), str(folder / "index")],
            stdout=out,
            stderr=err,
            text=True,
            cwd=folder,
        )
    try:
        yield Watched(folder, process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.md").write_text("# A\n\nOne stays.\n")
    return tmp_path


def test_the_index_follows_the_folder(folder: Path) -> None:
    """This ensures that documents are indexed as they come, a failure ends nothing, and SIGINT exits with 0."""
    with watch(folder) as watched:
        watched.until(lambda: len(watched.reports()) == 1)
        (watched.corpus / ".b.md.swp").write_text("temporary")
        (watched.corpus / "b.md").write_text("# B\n\nTwo is new.\n")
        watched.until(lambda: len(watched.reports()) == 2)
        toml = watched.corpus / "library.toml"
        toml.write_text("not toml")
        watched.until(lambda: "failed: library.toml" in watched.said())
        toml.unlink()
        (watched.corpus / "a.md").rename(watched.corpus / "c.md")
        watched.until(lambda: len(watched.reports()) == 3)
        exit_code = watched.end(signal.SIGINT)

    changes = [report["changes"] for report in watched.reports()]
    assert exit_code == 0
    assert [c["added"] for c in changes] == [["a.md"], ["b.md"], []]
    assert changes[2]["moved"] == [["a.md", "c.md"]]
    assert [report["n_embedded"] for report in watched.reports()] == [1, 1, 0]
    with open_snapshot(IndexDir(watched.index_dir)) as snapshot:
        assert snapshot.id == watched.reports()[2]["snapshot_id"]


def test_a_signal_during_a_build_ends_it_in_order(folder: Path) -> None:
    """This ensures that SIGTERM while embedding exits with 0, the old snapshot live and nothing half-built left."""
    with watch(folder) as watched:
        watched.until(lambda: len(watched.reports()) == 1)
        (folder / "hold").touch()
        (watched.corpus / "b.md").write_text("# B\n\nTwo is new.\n")
        watched.until((folder / "held").exists)
        watched.process.send_signal(signal.SIGTERM)
        (folder / "hold").unlink()
        exit_code = watched.process.wait(LONGEST_S)

    live = IndexDir(watched.index_dir).current_id()
    assert exit_code == 0
    assert live == watched.reports()[0]["snapshot_id"]
    assert [path.name for path in (watched.index_dir / "snapshots").iterdir()] == [live]


def test_another_builder_is_said_and_waited_for(folder: Path) -> None:
    """This ensures that a lock held elsewhere is told once with its holder, and the build is made up for."""
    with watch_beside_a_lock(folder) as (watched, held):
        watched.until(lambda: len(watched.reports()) == 1)
        exit_code = watched.end(signal.SIGTERM)

    assert held == []
    assert watched.said().count("trying again") == 1
    assert f"process {os.getpid()}" in watched.said()
    assert exit_code == 0


@contextmanager
def watch_beside_a_lock(folder: Path) -> Iterator[tuple[Watched, list[dict[str, Any]]]]:
    """Watch while this process holds the lock, and let it go; give what had been built by then."""
    with ExitStack() as stack:
        with IndexDir(folder / "index").lock():
            watched = stack.enter_context(watch(folder))
            watched.until(lambda: "trying again" in watched.said())
            held = watched.reports()
        yield watched, held
