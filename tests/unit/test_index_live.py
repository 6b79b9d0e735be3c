"""The snapshot in use, swapped while it is used."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from index.errors import ModelMismatch, NoSnapshot, SnapshotCorrupt
from index.live import LiveSnapshot
from index.snapshot import Snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder, tiny_documents, write_tiny_snapshot

LIBRARY = tiny_documents()
MakeLive = Callable[..., LiveSnapshot]


@pytest.fixture
def index_dir(tmp_path: Path) -> IndexDir:
    return IndexDir(tmp_path / "index")


@pytest.fixture
def make_live(index_dir: IndexDir) -> Iterator[MakeLive]:
    """Return a way to make live snapshots of the index that are closed after the test."""
    with ExitStack() as opened:

        def make(**options: Any) -> LiveSnapshot:
            live = LiveSnapshot(index_dir, **options)
            opened.callback(live.close)
            return live

        yield make


def break_current(index_dir: IndexDir) -> Callable[[], object]:
    """Damage the current snapshot; returns how to mend it."""
    path = index_dir.snapshot_path(index_dir.current_id() or "") / "dense.faiss"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    return lambda: path.write_bytes(data)


def is_open(snapshot: Snapshot) -> bool:
    try:
        snapshot.catalogue.count_documents()
    except RuntimeError:
        return False
    return True


def test_no_snapshot_is_a_state(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that a service starts without an index, and each use says how to build one."""
    live = make_live()

    assert live.refresh() is False
    assert live.snapshot_id is None
    assert isinstance(live.last_error, NoSnapshot)
    with pytest.raises(NoSnapshot, match="citewell build"), live.use():
        pass


def test_before_the_first_refresh_nothing_is_open(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that making the object costs nothing."""
    write_tiny_snapshot(index_dir)

    live = make_live()

    assert live.snapshot_id is None
    with pytest.raises(NoSnapshot), live.use():
        pass


def test_a_new_snapshot_is_noticed(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that refreshing switches once per publication, and only then."""
    live = make_live()
    first = write_tiny_snapshot(index_dir)
    assert [live.refresh(), live.refresh()] == [True, False]
    assert live.snapshot_id == first

    second = write_tiny_snapshot(index_dir, LIBRARY[:1])

    assert [live.refresh(), live.refresh()] == [True, False]
    with live.use() as snapshot:
        assert (snapshot.id, snapshot.manifest.counts.documents) == (second, 1)
    assert live.last_error is None


def test_a_rollback_is_noticed(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that going back is a change like any other."""
    live = make_live()
    first = write_tiny_snapshot(index_dir)
    write_tiny_snapshot(index_dir, LIBRARY[:1])
    live.refresh()

    index_dir.rollback()

    assert live.refresh() is True
    assert live.snapshot_id == first


def test_a_request_keeps_its_snapshot_to_the_end(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that the old snapshot serves its last users, deleted from the disk or not, and closes after them."""
    live = make_live()
    write_tiny_snapshot(index_dir)
    live.refresh()
    with live.use() as old, live.use() as same:
        write_tiny_snapshot(index_dir, LIBRARY[:1])
        live.refresh()
        index_dir.collect(keep=1)

        with live.use() as new:
            assert new.id != old.id
        assert same is old
        assert not old.path.exists()
        assert len(old.catalogue.passages(range(7))) == 7
        assert old.lexical.search("naloxone", 1)[0].tolist() == [3]
        assert old.dense.search(HashingEmbedder().encode_queries(["naloxone"])[0], 7)[0].size == 7
    assert not is_open(old)
    assert is_open(new)


def test_an_unused_old_snapshot_is_closed_at_once(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that snapshots do not gather in memory."""
    live = make_live()
    write_tiny_snapshot(index_dir)
    live.refresh()
    with live.use() as old:
        pass

    write_tiny_snapshot(index_dir, LIBRARY[:1])
    live.refresh()

    assert not is_open(old)


def test_a_failed_refresh_keeps_the_old_and_says_so(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that a damaged new snapshot changes nothing but the health answer."""
    live = make_live()
    old = write_tiny_snapshot(index_dir)
    live.refresh()
    write_tiny_snapshot(index_dir, LIBRARY[:1])
    break_current(index_dir)

    assert live.refresh() is False

    assert live.snapshot_id == old
    assert isinstance(live.last_error, SnapshotCorrupt)
    with live.use() as snapshot:
        assert is_open(snapshot)


def test_a_failure_is_not_tried_again_at_every_poll(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that a damaged snapshot of gigabytes is not hashed all the time, but is tried again later."""
    now = 0.0
    opened = []
    live = make_live(warm=lambda s: opened.append(s.id), retry_after_s=60.0, clock=lambda: now)
    new = write_tiny_snapshot(index_dir)
    mend = break_current(index_dir)
    live.refresh()
    mend()

    now = 59.0
    assert live.refresh() is False
    assert isinstance(live.last_error, SnapshotCorrupt)
    now = 60.0
    assert live.refresh() is True

    assert opened == [new]
    assert live.snapshot_id == new


def test_a_failure_does_not_hold_up_the_next_snapshot(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that publishing a sound snapshot mends the service at once."""
    live = make_live(clock=lambda: 0.0)
    write_tiny_snapshot(index_dir)
    break_current(index_dir)
    live.refresh()

    new = write_tiny_snapshot(index_dir, LIBRARY[:1])

    assert live.refresh() is True
    assert (live.snapshot_id, live.last_error) == (new, None)


def test_going_back_to_the_snapshot_in_use_clears_the_error(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that health is good again after a rollback to what is served anyway."""
    live = make_live()
    write_tiny_snapshot(index_dir)
    live.refresh()
    write_tiny_snapshot(index_dir, LIBRARY[:1])
    break_current(index_dir)
    live.refresh()

    index_dir.rollback()

    assert live.refresh() is False
    assert live.last_error is None


def test_another_model_is_refused_with_both_named(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that questions are never compared with another model's vectors."""
    ours, theirs = HashingEmbedder(), HashingEmbedder(name="other")
    live = make_live(fingerprint=ours.fingerprint)
    old = write_tiny_snapshot(index_dir, embedder=ours)
    live.refresh()

    write_tiny_snapshot(index_dir, embedder=theirs)

    assert live.refresh() is False
    assert live.snapshot_id == old
    assert isinstance(live.last_error, ModelMismatch)
    assert ours.fingerprint[:12] in live.last_error.what
    assert theirs.fingerprint[:12] in live.last_error.what


def test_a_vanished_index_keeps_the_old_and_says_so(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that an unmounted disk does not stop a running service."""
    live = make_live()
    published = write_tiny_snapshot(index_dir)
    live.refresh()

    shutil.rmtree(index_dir.path)

    assert live.refresh() is False
    assert live.snapshot_id == published
    assert isinstance(live.last_error, NoSnapshot)
    with live.use() as snapshot:
        assert snapshot.catalogue.text("guides/methadone.md")


def test_a_snapshot_is_warmed_before_it_is_shown(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that the first question after a switch is not the slow one."""
    seen: list[tuple[str, str | None]] = []
    live: LiveSnapshot = make_live(warm=lambda snapshot: seen.append((snapshot.id, live.snapshot_id)))
    first = write_tiny_snapshot(index_dir)
    live.refresh()
    second = write_tiny_snapshot(index_dir, LIBRARY[:1])

    live.refresh()

    assert seen == [(first, None), (second, first)]


def test_a_failing_warm_up_closes_the_new_snapshot(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that a snapshot that can't answer is not shown and not left open."""
    opened: list[Snapshot] = []

    def warm(snapshot: Snapshot) -> None:
        opened.append(snapshot)
        raise ModelMismatch("no", fix="none")

    live = make_live(warm=warm)
    write_tiny_snapshot(index_dir)

    assert live.refresh() is False
    assert live.snapshot_id is None
    assert not is_open(opened[0])


def test_closing_waits_for_the_last_user(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that stopping a service does not cut a running request short, and opens nothing again."""
    live = make_live()
    write_tiny_snapshot(index_dir)
    live.refresh()

    with live.use() as snapshot:
        live.close()
        assert is_open(snapshot)
        assert live.refresh() is False
    assert not is_open(snapshot)
    assert live.snapshot_id is None


def test_closing_while_a_snapshot_is_opened_leaves_none_open(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that a service stopped in the middle of a switch leaves no file open."""
    opened: list[Snapshot] = []
    made: list[LiveSnapshot] = []

    def warm(snapshot: Snapshot) -> None:
        opened.append(snapshot)
        made[0].close()

    made.append(make_live(warm=warm))
    write_tiny_snapshot(index_dir)

    made[0].refresh()

    assert made[0].snapshot_id is None
    assert not is_open(opened[0])


def test_many_threads_use_and_refresh_while_builds_go_on(index_dir: IndexDir, make_live: MakeLive) -> None:
    """This ensures that no request ever meets a closed or mixed snapshot."""
    write_tiny_snapshot(index_dir)
    live = make_live()
    live.refresh()

    def ask(_: int) -> bool:
        live.refresh()
        with live.use() as snapshot:
            n = snapshot.manifest.counts.passages
            return len(snapshot.catalogue.passages(range(n))) == n == snapshot.dense.n

    with ThreadPoolExecutor(6) as pool:
        answers = pool.map(ask, range(300))
        for i in range(8):
            write_tiny_snapshot(index_dir, LIBRARY[: 1 + i % 4])
            index_dir.collect(keep=1)
        assert all(answers)
