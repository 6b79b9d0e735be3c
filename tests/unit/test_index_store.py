"""The index folder and its snapshots."""

import errno
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from index.errors import NoSnapshot, SnapshotCorrupt, SnapshotUnsupported, StorageFailed, WriterBusy
from index.manifest import FORMAT_VERSION, Counts, Manifest, ModelIdentity, read_manifest
from index.store import IndexDir, Staging

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now


def manifest(corpus: str = "0") -> Manifest:
    return Manifest(
        counts=Counts(documents=0, passages=0, sentences=0),
        split={},
        fusion={},
        model=ModelIdentity(name="m", fingerprint="f", dimension=8),
        corpus_sha256=corpus * 64,
    )


def fill(staging: Staging, content: str = "x") -> None:
    (staging.path / "lexical").mkdir()
    (staging.path / "lexical" / "meta.json").write_text(content)
    (staging.path / "dense.faiss").write_text(content)


def publish(index_dir: IndexDir, content: str = "x") -> str:
    with index_dir.writing() as staging:
        fill(staging, content)
        index_dir.seal(staging, manifest())
        return index_dir.publish(staging)


def hidden(index_dir: IndexDir) -> list[str]:
    return [p.name for p in index_dir.path.rglob(".*") if not p.name.startswith(".tantivy")]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def index_dir(tmp_path: Path, clock: Clock) -> IndexDir:
    return IndexDir(tmp_path / "var" / "index", clock)


def test_publishing_makes_a_snapshot_current(index_dir: IndexDir) -> None:
    """This ensures that a sealed folder appears under its id, with a manifest of every file, and CURRENT names it."""
    snapshot_id = publish(index_dir)

    path = index_dir.snapshot_path(snapshot_id)
    written = read_manifest(path)
    assert re.fullmatch(r"20261122T120000Z-[0-9a-f]{8}", snapshot_id)
    assert index_dir.current_id() == snapshot_id
    assert (index_dir.path / "CURRENT").read_text() == f"{snapshot_id}\n"
    assert sorted(written.files) == ["dense.faiss", "lexical/meta.json"]
    assert (written.snapshot_id, written.sequence, written.created_at) == (snapshot_id, 1, "2026-11-22T12:00:00Z")
    assert written.files["dense.faiss"].bytes == 1
    assert hidden(index_dir) == []


def test_before_the_first_build_there_is_nothing(index_dir: IndexDir) -> None:
    """This ensures that asking creates nothing."""
    assert index_dir.current_id() is None
    assert index_dir.list_snapshots() == []
    assert not index_dir.path.exists()


def test_equal_builds_in_one_second_have_different_ids(index_dir: IndexDir) -> None:
    """This ensures that a quick rebuild replaces nothing, and order is kept."""
    ids = [publish(index_dir) for _ in range(3)]

    assert len(set(ids)) == 3
    assert len({i.split("-")[1] for i in ids}) == 1
    assert [info.id for info in index_dir.list_snapshots()] == ids[::-1]


def test_order_survives_a_clock_that_runs_backwards(index_dir: IndexDir, clock: Clock) -> None:
    """This ensures that newest means published last, whatever the clock said."""
    first = publish(index_dir, "a")
    clock.now -= timedelta(days=400)
    second = publish(index_dir, "b")

    assert second < first
    assert [info.id for info in index_dir.list_snapshots()] == [second, first]
    assert index_dir.rollback() == first
    assert index_dir.collect(keep=1) == []


def test_staging_sweeps_what_killed_writers_left(index_dir: IndexDir) -> None:
    """This ensures that leftovers are gone before the next build, and nothing else is."""
    kept = publish(index_dir)
    for name in (".staging-1-dead", ".collected-20200101T000000Z-00000000", "notes"):
        (index_dir.snapshots_path / name / "deep").mkdir(parents=True)
    (index_dir.path / ".CURRENT.abcd.tmp").write_text("half")
    (index_dir.snapshots_path / ".staging-file").write_text("")

    with index_dir.lock():
        staging = index_dir.stage()

    assert sorted(p.name for p in index_dir.snapshots_path.iterdir()) == sorted([staging.path.name, kept, "notes"])
    assert not (index_dir.path / ".CURRENT.abcd.tmp").exists()


def test_a_failing_build_leaves_no_staging(index_dir: IndexDir) -> None:
    """This ensures that whatever a build raises, the half-built folder goes and the old snapshot stays."""
    old = publish(index_dir)

    def interrupted() -> None:
        with index_dir.writing() as staging:
            fill(staging)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert index_dir.current_id() == old
    assert hidden(index_dir) == []


def test_writing_without_the_lock_is_refused(index_dir: IndexDir) -> None:
    """This ensures that no step of a build can be called by mistake without the lock."""
    for step in (
        index_dir.stage,
        lambda: index_dir.seal(Staging(index_dir.path), manifest()),
        lambda: index_dir.publish(Staging(index_dir.path)),
    ):
        with pytest.raises(RuntimeError, match="lock"):
            step()


def test_a_second_writer_is_told_who_is_first(index_dir: IndexDir) -> None:
    """This ensures that two builds never write at once, in one process or in two."""
    code = (
        "import sys; from pathlib import Path; from index.store import IndexDir; from index.errors import WriterBusy\n"
        "try:\n with IndexDir(Path(sys.argv[1])).lock(): print('got it')\n"
        "except WriterBusy as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(index_dir.path)]

    with index_dir.lock():
        with pytest.raises(WriterBusy, match=f"process {os.getpid()}, since 2026-11-22T12:00:00Z"):
            publish(IndexDir(index_dir.path))
        with pytest.raises(WriterBusy), index_dir.lock():
            pass
        busy = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    free = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert f"process {os.getpid()}" in busy
    assert free == "got it\n"


@pytest.mark.parametrize("content", [b"", b"garbage", b'{"pid": 1, "since": "2020"}', b"\xff" * 5000])
def test_a_stale_lock_file_is_harmless(index_dir: IndexDir, content: bytes) -> None:
    """This ensures that what a dead writer wrote into LOCK keeps nobody out."""
    index_dir.path.mkdir(parents=True)
    (index_dir.path / "LOCK").write_bytes(content)

    assert publish(index_dir) == index_dir.current_id()


def test_a_forked_worker_does_not_keep_the_lock(index_dir: IndexDir) -> None:
    """This ensures that a pool's worker that outlives a killed build does not block the next one."""
    code = (
        "import os, sys, signal; from pathlib import Path; from index.store import IndexDir\n"
        "with IndexDir(Path(sys.argv[1])).lock():\n"
        " if os.fork() == 0:\n"
        "  print('forked', flush=True); sys.stdin.read(); os._exit(0)\n"
        " os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(index_dir.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"forked\n"
        # Not wait(): the worker holds the pipes, the builder alone is gone.
        assert os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT) is not None

        published = publish(index_dir)

        assert process.stdin is not None
        process.stdin.close()
    assert index_dir.current_id() == published


@pytest.mark.parametrize("content", ["", "\n", "../../etc", "20261122T120000Z-0123ABCD", "x" * 10_000, "\xff"])
def test_a_damaged_pointer_is_an_error_with_a_way_out(index_dir: IndexDir, content: str) -> None:
    """This ensures that CURRENT leads nowhere but to a snapshot, and can be mended by a rollback."""
    published = publish(index_dir)
    (index_dir.path / "CURRENT").write_text(content, encoding="latin-1")

    with pytest.raises(SnapshotCorrupt, match="CURRENT"):
        index_dir.current_id()
    with pytest.raises(SnapshotCorrupt):
        index_dir.collect()
    assert index_dir.rollback() == published
    assert index_dir.current_id() == published


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../CURRENT", "20261122T120000Z-0123abcd/..", "20261122T120000Z-0123abcd\n"]
)
def test_only_ids_become_paths(index_dir: IndexDir, name: str) -> None:
    """This ensures that no path outside the snapshots can be named."""
    with pytest.raises(NoSnapshot):
        index_dir.snapshot_path(name)


def test_rollback_goes_back_one_by_one(index_dir: IndexDir) -> None:
    """This ensures that without a name the one before the current one is taken, until there is none."""
    first, second, third = (publish(index_dir, c) for c in "abc")

    assert [index_dir.rollback(), index_dir.rollback()] == [second, first]
    with pytest.raises(NoSnapshot, match="no older"):
        index_dir.rollback()
    assert index_dir.rollback(third) == index_dir.current_id() == third


def test_rollback_refuses_what_can_not_serve(index_dir: IndexDir) -> None:
    """This ensures that the live snapshot is given up for a readable one only."""
    first, second = (publish(index_dir, c) for c in "ab")
    path = index_dir.snapshot_path(first) / "manifest.json"

    with pytest.raises(NoSnapshot, match="20200101T000000Z-00000000"):
        index_dir.rollback("20200101T000000Z-00000000")
    path.write_text(path.read_text().replace(f'"format_version": {FORMAT_VERSION}', '"format_version": 99'))
    with pytest.raises(SnapshotUnsupported):
        index_dir.rollback(first)
    path.write_text("{")
    with pytest.raises(SnapshotCorrupt):
        index_dir.rollback(first)
    with pytest.raises(NoSnapshot):
        index_dir.rollback()
    assert index_dir.current_id() == second


def test_collecting_keeps_the_newest_and_the_current(index_dir: IndexDir) -> None:
    """This ensures that old snapshots go, never the one in use."""
    ids = [publish(index_dir, c) for c in "abcdef"]
    index_dir.rollback(ids[1])

    collected = index_dir.collect(keep=2)

    assert sorted(collected) == sorted([ids[0], ids[2], ids[3]])
    assert [info.id for info in index_dir.list_snapshots()] == [ids[5], ids[4], ids[1]]
    assert [info.is_current for info in index_dir.list_snapshots()] == [False, False, True]
    assert hidden(index_dir) == []


def test_collecting_spares_newer_formats_and_takes_damaged_ones(index_dir: IndexDir) -> None:
    """This ensures that going back to an older version of the program costs no snapshot of the newer one."""
    ids = [publish(index_dir, c) for c in "abcd"]
    for snapshot_id, old, new in ((ids[0], f": {FORMAT_VERSION}", ": 99"), (ids[1], "{", "")):
        path = index_dir.snapshot_path(snapshot_id) / "manifest.json"
        path.write_text(path.read_text().replace(old, new, 1))

    collected = index_dir.collect(keep=2)

    assert collected == [ids[1]]
    problems = {info.id: info.problem for info in index_dir.list_snapshots()}
    assert "format 99" in problems[ids[0]]
    assert problems[ids[3]] == ""


def test_keeping_none_is_refused(index_dir: IndexDir) -> None:
    """This ensures that a wrong setting does not delete everything."""
    with pytest.raises(ValueError, match="at least 1"):
        index_dir.collect(keep=0)


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, nth: int, number: int) -> Callable[[], int]:
    """Let the nth call (from 0) of an operating system function fail; returns how to ask for the number of calls."""
    real, calls = getattr(os, name), 0

    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth + 1:
            raise OSError(number, os.strerror(number))
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, call)
    return lambda: calls


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT, errno.EFBIG, errno.EACCES])
@pytest.mark.parametrize("name", ["fsync", "replace", "rename"])
def test_every_step_may_fail(index_dir: IndexDir, name: str, number: int) -> None:
    """This ensures that wherever a disk fails, a complete snapshot is live, nothing else stays, and a retry works."""
    old = publish(index_dir, "old")
    for nth in itertools.count():
        with pytest.MonkeyPatch.context() as monkeypatch:
            calls = fail_at(monkeypatch, name, nth, number)
            failure = attempt(index_dir)
            if calls() <= nth:
                break  # there are no more steps than that

        current = index_dir.current_id()
        assert failure is not None
        # Only where the confirmation of the very last step was missing is the new one live, and the error says so.
        assert (current == old) != ("is live" in failure.what)
        assert current is not None
        assert read_manifest(index_dir.snapshot_path(current)).snapshot_id == current
        assert [info.id for info in index_dir.list_snapshots()] == sorted({old, current}, reverse=True)
        assert hidden(index_dir) == []
        old = current
    assert nth == {"fsync": 9, "replace": 2, "rename": 1}[name]
    assert failure is None


def attempt(index_dir: IndexDir) -> StorageFailed | None:
    try:
        publish(index_dir, "new")
    except StorageFailed as error:
        return error
    return None


def test_a_staging_folder_that_can_not_be_made_is_a_storage_error(
    index_dir: IndexDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that a disk full from the start is explained."""
    publish(index_dir)
    real = os.mkdir

    def mkdir(path: Any, *arguments: Any) -> None:
        if ".staging" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, *arguments)

    monkeypatch.setattr(os, "mkdir", mkdir)

    with pytest.raises(StorageFailed, match="No space left"):
        publish(index_dir)


def test_nothing_is_live_before_it_is_on_the_disk(index_dir: IndexDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that every file is forced to the disk before the manifest is, and all of it before CURRENT."""
    events: list[str] = []
    real_fsync, real_replace, real_rename = os.fsync, os.replace, os.rename

    def fsync(descriptor: int) -> None:
        events.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        real_fsync(descriptor)

    def replace(source: Any, target: Any) -> None:
        events.append(f"put {Path(target).name}")
        real_replace(source, target)

    def rename(source: Any, target: Any) -> None:
        events.append("put snapshot")
        real_rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "rename", rename)

    publish(index_dir)

    shown = [re.sub(r"\.staging-\S+", "staging", re.sub(r"\.(\w+(?:\.json)?)\.\w+\.tmp", r"new \1", e)) for e in events]
    assert shown == [
        "sync dense.faiss",
        "sync meta.json",
        "sync lexical",
        "sync staging",
        "sync new manifest.json",
        "put manifest.json",
        "sync staging",
        "put snapshot",
        "sync snapshots",
        "sync new CURRENT",
        "put CURRENT",
        "sync index",
    ]


def test_an_index_folder_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    """This ensures that a wrong setting is explained."""
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageFailed) as caught:
        publish(IndexDir(tmp_path / "file"))

    assert str(tmp_path / "file") in caught.value.where


def test_publishing_what_was_not_sealed_is_refused(index_dir: IndexDir) -> None:
    """This ensures that a folder without manifest never becomes a snapshot."""
    with index_dir.writing() as staging, pytest.raises(SnapshotCorrupt):
        index_dir.publish(staging)

    assert index_dir.current_id() is None
    assert index_dir.list_snapshots() == []
