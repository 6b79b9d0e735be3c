"""From a folder of files to a published snapshot."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import index.build
import index.embed_ahead
from index.build import PHASES, BuildReport, build_index
from index.errors import BuildRefused, StorageFailed, WriterBusy
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder
from index.verify import Problem, VerifyReport
from ingest.errors import CorpusMissing

Write = Callable[[str, str], None]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    return folder


@pytest.fixture
def write(corpus: Path) -> Write:
    def write_file(path: str, text: str) -> None:
        (corpus / path).parent.mkdir(parents=True, exist_ok=True)
        (corpus / path).write_text(text, "utf-8")

    return write_file


@pytest.fixture
def build(corpus: Path, tmp_path: Path) -> Callable[[], BuildReport]:
    return lambda: build_index(corpus, tmp_path / "index", HashingEmbedder())


def snapshot_bytes(index_dir: Path) -> bytes:
    """Return all bytes of the newest snapshot and of the vector cache."""
    current = IndexDir(index_dir)
    folder = current.snapshot_path(str(current.current_id()))
    files = [*(p for p in folder.rglob("*") if p.is_file()), *index_dir.glob("vectors.sqlite*")]
    return b"".join(p.read_bytes() for p in files)


def test_dropping_a_file_is_enough(write: Write, build: Callable[[], BuildReport], tmp_path: Path) -> None:
    """This ensures that a document needs no registration, and that its passages are found in the new snapshot."""
    write("a.md", "# Onset\n\nWithdrawal starts early.\n")
    write("deep/b.txt", "Naltrexone blocks receptors.\n")

    report = build()

    with open_snapshot(IndexDir(tmp_path / "index")) as snapshot:
        assert snapshot.id == report.snapshot_id
        assert [d.id for d in snapshot.catalogue.list_documents()] == ["a.md", "deep/b.txt"]
    assert (report.n_documents, report.n_passages, report.failures) == (2, 2, ())


def test_a_second_build_embeds_nothing(write: Write, build: Callable[[], BuildReport]) -> None:
    """This ensures that unchanged text never meets the model again, also under another file name's rename."""
    write("a.md", "# Onset\n\nWithdrawal starts early.\n")
    first = build()

    second = build()

    assert (first.n_embedded, first.n_reused) == (1, 0)
    assert (second.n_embedded, second.n_reused) == (0, 1)


def test_only_what_changed_is_embedded(write: Write, build: Callable[[], BuildReport]) -> None:
    """This ensures that one changed section of one document costs the embedding of that section."""
    write("a.md", "# A\n\nOne stays.\n\n# B\n\nTwo changes.\n")
    build()
    write("a.md", "# A\n\nOne stays.\n\n# B\n\nTwo has changed.\n")

    report = build()

    assert (report.n_embedded, report.n_reused) == (1, 1)


def test_a_withdrawn_document_leaves_no_byte(
    write: Write, build: Callable[[], BuildReport], corpus: Path, tmp_path: Path
) -> None:
    """This ensures that a deleted file's words and vectors are in no file of the next snapshot nor in the cache."""
    write("keep.md", "# Keep\n\nThis stays here.\n")
    write("withdrawn.md", "# Canary\n\nXyzzyquux stands here alone.\n")
    build()
    before = snapshot_bytes(tmp_path / "index")
    (corpus / "withdrawn.md").unlink()

    build()

    after = snapshot_bytes(tmp_path / "index")
    vector = HashingEmbedder().encode_queries(["Canary. Xyzzyquux stands here alone."])[0].astype("<f2").tobytes()
    assert b"Xyzzyquux" in before
    for trace in (b"Xyzzyquux", b"xyzzyquux", b"withdrawn.md", vector):
        assert trace not in after


def test_one_bad_file_is_reported_and_the_rest_published(
    write: Write, build: Callable[[], BuildReport], corpus: Path
) -> None:
    """This ensures that a broken file neither stops a build nor disappears: it is named with reason and remedy."""
    write("good.md", "# Good\n\nWords to quote.\n")
    (corpus / "bad.pdf").write_bytes(b"this is no pdf")
    (corpus / "table.xlsx").write_bytes(b"PK")

    report = build()

    assert report.n_documents == 1
    assert [(f.path, f.code) for f in report.failures] == [("bad.pdf", "source_malformed")]
    assert report.failures[0].reason
    assert report.failures[0].fix
    assert report.ignored == ("table.xlsx",)


def test_a_file_that_broke_is_not_served_in_its_old_version(
    write: Write, build: Callable[[], BuildReport], corpus: Path, tmp_path: Path
) -> None:
    """This ensures that the last good version of a file that can't be read now is not shown as current."""
    write("good.md", "# Good\n\nWords to quote.\n")
    write("turns.txt", "Readable at first.\n")
    build()
    (corpus / "turns.txt").write_bytes(b"\x7fELF\x00\x00\x01" * 50)

    report = build()

    assert [f.path for f in report.failures] == ["turns.txt"]
    assert b"Readable at first" not in snapshot_bytes(tmp_path / "index")


def test_an_empty_folder_is_refused(build: Callable[[], BuildReport], tmp_path: Path) -> None:
    """This ensures that nothing readable is an error with the folder's name, and that nothing is published."""
    with pytest.raises(CorpusMissing) as caught:
        build()

    assert caught.value.where.endswith("corpus")
    assert IndexDir(tmp_path / "index").current_id() is None


def test_a_folder_of_bad_files_alone_keeps_the_old_index(
    write: Write, build: Callable[[], BuildReport], corpus: Path, tmp_path: Path
) -> None:
    """This ensures that a corpus gone wrong as a whole does not empty the service."""
    write("a.md", "# A\n\nWords.\n")
    first = build()
    (corpus / "a.md").write_bytes(b"\x00\x01\x02" * 100)

    with pytest.raises(CorpusMissing):
        build()

    assert IndexDir(tmp_path / "index").current_id() == first.snapshot_id


def test_two_builds_at_once_are_refused(write: Write, build: Callable[[], BuildReport], tmp_path: Path) -> None:
    """This ensures that the second writer is told who is writing."""
    write("a.md", "# A\n\nWords.\n")

    with IndexDir(tmp_path / "index").lock(), pytest.raises(WriterBusy, match=str(os.getpid())):
        build()


@pytest.mark.parametrize("step", ["write_catalogue", "write_evidence", "write_chosen_dense", "write_lexical"])
def test_a_full_disk_keeps_the_old_index(
    write: Write, build: Callable[[], BuildReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """This ensures that a disk which fills up in any phase is a clear error, the old snapshot live, nothing left."""
    write("a.md", "# A\n\nWords.\n")
    first = build()
    write("a.md", "# A\n\nOther words.\n")

    def full(*_: object, **__: object) -> None:
        raise StorageFailed("the disk is full", where=step, fix="free space")

    monkeypatch.setattr(index.embed_ahead if step == "write_evidence" else index.build, step, full)
    with pytest.raises(StorageFailed):
        build()

    snapshots = tmp_path / "index" / "snapshots"
    assert IndexDir(tmp_path / "index").current_id() == first.snapshot_id
    assert [p.name for p in snapshots.iterdir()] == [first.snapshot_id]


def test_a_bare_error_of_the_disk_is_named_too(
    write: Write, build: Callable[[], BuildReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that a full disk while fsyncing reaches the editor as advice, not as a traceback."""
    write("a.md", "# A\n\nWords.\n")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(StorageFailed) as caught:
        build()

    assert caught.value.fix


def test_what_fails_verification_is_not_published(
    write: Write, build: Callable[[], BuildReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that a snapshot in which anything does not hold never becomes the live one."""
    write("a.md", "# A\n\nWords.\n")
    problem = VerifyReport("", 1, 1, 1, 1, (Problem("verbatim", "a.md", "differs"),), 1)
    monkeypatch.setattr(index.build, "verify_snapshot", lambda *_: problem)

    with pytest.raises(BuildRefused, match="verbatim"):
        build()

    assert IndexDir(tmp_path / "index").current_id() is None


def test_lines_that_a_publisher_repeats_are_in_no_passage(
    write: Write, build: Callable[[], BuildReport], tmp_path: Path
) -> None:
    """This ensures that a site's banner, met in many documents, is marked as furniture by the build."""
    for i in range(6):
        write(f"{i}.txt", f"Our bright new home\n\nDocument {i} says something of its own about relapse.\n")

    build()

    with open_snapshot(IndexDir(tmp_path / "index")) as snapshot:
        passages = [p.passage.text for i in range(6) for p in snapshot.catalogue.passages_of(f"{i}.txt")]
    assert len(passages) == 6
    assert not any("bright" in text for text in passages)


def test_progress_and_report_count_what_happened(write: Write, corpus: Path, tmp_path: Path) -> None:
    """This ensures that each phase is told from begin to total, and that the report has the seconds of each."""
    write("a.md", "# A\n\nWords.\n\n# B\n\nMore words.\n")
    seen: dict[str, tuple[int, int]] = {}
    begun: list[str] = []

    def listen(phase: str, done: int, total: int) -> None:
        begun.extend([phase] if done == 0 else [])
        seen[phase] = (done, total)

    report = build_index(
        corpus,
        tmp_path / "index",
        HashingEmbedder(),
        on_progress=listen,
    )

    phases = [phase for phase in PHASES if phase != "gate"]
    counts = {"read": (1, 1), "split": (1, 1), "embed": (2, 2), "verify": (1, 1)}
    assert begun == phases
    assert seen == {phase: counts.get(phase, (1, 1)) for phase in phases}
    assert set(phases) == set(report.seconds)
    assert report.peak_memory_bytes > 1_000_000


def test_old_snapshots_that_stay_are_a_warning(
    write: Write, build: Callable[[], BuildReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that a build whose snapshot is live counts as published although tidying up failed."""
    write("a.md", "# A\n\nWords.\n")

    def refuse(*_: object) -> list[str]:
        raise StorageFailed("no right to delete", where="snapshots", fix="grant it")

    monkeypatch.setattr(IndexDir, "collect", refuse)

    report = build()

    assert IndexDir(tmp_path / "index").current_id() == report.snapshot_id
    assert ("snapshots", "old snapshots could not be deleted: no right to delete") in report.warnings
