"""Forgetting a document: what is refused, what is gone over, and what the receipt says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from index.build import build_index
from index.errors import DocumentStillThere, DocumentUnknown, WriterBusy
from index.forget import ForgetReceipt, forget_document
from index.jobs import JobBook
from index.resolve_link import PassageState, resolve_link
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder
from ingest.errors import CorpusMissing

WORDS = "This was said by somebody who took it back. It may not be shown again."


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "keep.md").write_text("# Keep\n\nThis stays here for everybody.\n")
    (folder / "gone.md").write_text(f"# Gone\n\n{WORDS}\n")
    return folder


@pytest.fixture
def index_dir(tmp_path: Path) -> IndexDir:
    return IndexDir(tmp_path / "index")


def build(corpus: Path, index_dir: IndexDir) -> str:
    return build_index(corpus, index_dir, HashingEmbedder()).snapshot_id


def forget(corpus: Path, index_dir: IndexDir, document: str = "gone.md", *, with_file: bool = False) -> ForgetReceipt:
    return forget_document(document, corpus, index_dir.path, HashingEmbedder, with_file=with_file)


def never() -> HashingEmbedder:
    raise AssertionError("the model was loaded for nothing")


def passages_of(index_dir: IndexDir, document: str) -> list[str]:
    with open_snapshot(index_dir) as snapshot:
        return [stored.passage.id for stored in snapshot.catalogue.passages_of(document)]


def snapshots(index_dir: IndexDir) -> list[str]:
    return [info.id for info in index_dir.list_snapshots()]


def test_document_in_the_corpus_is_refused(corpus: Path, index_dir: IndexDir) -> None:
    """This ensures that nothing is removed that the next build would bring back, and that the remedy is told."""
    old = build(corpus, index_dir)

    with pytest.raises(DocumentStillThere) as caught:
        forget(corpus, index_dir)

    assert "--delete-file" in caught.value.fix
    assert snapshots(index_dir) == [old]


def test_file_that_can_not_be_read_counts_as_there(corpus: Path, index_dir: IndexDir) -> None:
    """This ensures that a document that broke is not forgotten while its file may be mended."""
    build(corpus, index_dir)
    (corpus / "gone.md").unlink()
    (corpus / "gone.md").symlink_to("/nowhere/at/all.md")

    with pytest.raises(DocumentStillThere):
        forget(corpus, index_dir)


@pytest.mark.parametrize("name", ["nothing.md", "", "../corpus/gone.md", "a\0b", "x" * 5_000, "Gone.md"])
def test_unknown_document_is_an_error(corpus: Path, index_dir: IndexDir, name: str) -> None:
    """This ensures that a slip of the pen is not taken for a document that is gone, and touches nothing."""
    old = build(corpus, index_dir)

    with pytest.raises(DocumentUnknown):
        forget(corpus, index_dir, name, with_file=True)

    assert snapshots(index_dir) == [old]
    assert (corpus / "gone.md").exists()


def test_forgotten_ids_are_withdrawn(corpus: Path, index_dir: IndexDir) -> None:
    """This ensures that links to a forgotten document say that it was withdrawn, though a copy stands elsewhere."""
    (corpus / "copy.md").write_text(f"# Other\n\n{WORDS}\n")
    build(corpus, index_dir)
    (passage_id,) = passages_of(index_dir, "gone.md")

    receipt = forget(corpus, index_dir, with_file=True)

    with open_snapshot(index_dir) as snapshot:
        found = resolve_link(snapshot, index_dir, passage_id)
    assert found is not None
    assert (found.state, found.passage_id, found.document_id) == (PassageState.WITHDRAWN, None, None)
    assert receipt.also_in == ("copy.md",)
    assert receipt.is_complete


def test_older_snapshots_without_it_stay(corpus: Path, index_dir: IndexDir) -> None:
    """This ensures that only what holds the document is deleted."""
    text = (corpus / "gone.md").read_text()
    (corpus / "gone.md").unlink()
    free = build(corpus, index_dir)
    (corpus / "gone.md").write_text(text)
    holding = build(corpus, index_dir)

    receipt = forget(corpus, index_dir, with_file=True)

    assert snapshots(index_dir) == [receipt.live_snapshot, free]
    assert [s.id for s in receipt.removed_snapshots] == [holding]


def test_damaged_snapshots_go_as_well(corpus: Path, index_dir: IndexDir) -> None:
    """This ensures that what can't be looked into is not trusted: it is deleted, and the receipt says why."""
    no_manifest, changed = build(corpus, index_dir), build(corpus, index_dir)
    build(corpus, index_dir)
    (index_dir.snapshot_path(no_manifest) / "manifest.json").write_text("{")
    with (index_dir.snapshot_path(changed) / "catalogue.sqlite").open("ab") as file:
        file.write(b"more")

    receipt = forget(corpus, index_dir, with_file=True)

    told = {s.id: (s.n_passages, s.problem) for s in receipt.removed_snapshots}
    assert snapshots(index_dir) == [receipt.live_snapshot]
    assert told[no_manifest][0] is None
    assert told[no_manifest][1]
    assert told[changed] == (None, "its catalogue is not as it was sealed")


def test_former_name_goes_as_well(corpus: Path, index_dir: IndexDir) -> None:
    """This ensures that a snapshot from before the document was renamed does not keep its words."""
    old = build(corpus, index_dir)
    (corpus / "gone.md").rename(corpus / "new-name.md")
    build(corpus, index_dir)

    receipt = forget(corpus, index_dir, "new-name.md", with_file=True)

    assert snapshots(index_dir) == [receipt.live_snapshot]
    assert {s.id: s.other_names for s in receipt.removed_snapshots}[old] == ("gone.md",)


def test_clean_live_snapshot_is_not_rebuilt(corpus: Path, index_dir: IndexDir) -> None:
    """This ensures that a document that was withdrawn by an ordinary build costs no model and no new snapshot."""
    old = build(corpus, index_dir)
    (corpus / "gone.md").unlink()
    live = build(corpus, index_dir)

    receipt = forget_document("gone.md", corpus, index_dir.path, never)

    assert (receipt.was_rebuilt, receipt.live_snapshot) == (False, live)
    assert [s.id for s in receipt.removed_snapshots] == [old]
    with pytest.raises(DocumentUnknown):
        forget(corpus, index_dir)


def test_after_a_rollback_the_corpus_is_built(corpus: Path, index_dir: IndexDir) -> None:
    """This ensures that newer snapshots, which know ids that the live one does not, are not lost unread."""
    text = (corpus / "gone.md").read_text()
    (corpus / "gone.md").unlink()
    first = build(corpus, index_dir)
    (corpus / "gone.md").write_text(text)
    build(corpus, index_dir)
    (passage_id,) = passages_of(index_dir, "gone.md")
    index_dir.rollback(first)
    (corpus / "gone.md").unlink()

    receipt = forget(corpus, index_dir)

    with open_snapshot(index_dir) as snapshot:
        found = resolve_link(snapshot, index_dir, passage_id)
    assert found is not None
    assert found.state is PassageState.WITHDRAWN
    assert any("rolled back" in note for note in receipt.notes)


def test_table_in_library_toml_is_pointed_out(corpus: Path, index_dir: IndexDir) -> None:
    """This ensures that what a person has to take out by hand is named."""
    (corpus / "library.toml").write_text('[documents."gone.md"]\ntitle = "Told"\n')
    build(corpus, index_dir)

    receipt = forget(corpus, index_dir, with_file=True)

    assert any("library.toml" in note for note in receipt.notes)


def test_last_document_can_not_be_forgotten_by_a_build(corpus: Path, index_dir: IndexDir) -> None:
    """This ensures that emptying the library is said to need more than this."""
    old = build(corpus, index_dir)
    (corpus / "keep.md").unlink()

    with pytest.raises(CorpusMissing):
        forget(corpus, index_dir, with_file=True)

    assert snapshots(index_dir) == [old]


def test_two_writers_do_not_meet(corpus: Path, index_dir: IndexDir) -> None:
    """This ensures that forgetting waits for nobody and disturbs no build."""
    build(corpus, index_dir)

    with IndexDir(index_dir.path).lock(), pytest.raises(WriterBusy):
        forget(corpus, index_dir, with_file=True)

    assert (corpus / "gone.md").exists()


def test_current_snapshot_is_never_dropped(corpus: Path, index_dir: IndexDir) -> None:
    """This ensures that no slip of a caller leaves readers without an index."""
    live = build(corpus, index_dir)

    with pytest.raises(ValueError, match="current"):
        index_dir.drop([live])

    assert snapshots(index_dir) == [live]


def ended_job(index_dir: IndexDir, report: dict[str, object]) -> JobBook:
    """Write the record of a build over HTTP that has ended."""
    book = JobBook(index_dir.path)
    record, lock = book.begin({})
    book.change(record, state="succeeded", report=report)
    os.close(lock)
    return book


def test_records_of_builds_go_as_well(corpus: Path, index_dir: IndexDir) -> None:
    """This ensures that no report of a build over HTTP keeps the name or the title, and that the receipt says so."""
    build(corpus, index_dir)
    book = ended_job(index_dir, {"added": ["gone.md"], "warnings": [["gone.md", "The title is taken from “Gone”."]]})

    receipt = forget(corpus, index_dir, with_file=True)

    assert receipt.n_job_records == 1
    assert receipt.is_complete
    assert book.recent() == []
    assert not any(b"gone.md" in path.read_bytes() for path in index_dir.path.rglob("*") if path.is_file())


def test_name_in_a_record_alone_is_reason_enough(corpus: Path, index_dir: IndexDir) -> None:
    """This ensures that a document which only the report of a failed build names can be forgotten, a part of it not."""
    (corpus / "gone.md").unlink()
    build(corpus, index_dir)
    book = ended_job(index_dir, {"failures": [{"path": "über/lost.pdf", "reason": "it is encrypted"}]})

    for name in ("lost", "lost.pdf", "ber/lost.pdf", "über", "über/lost"):
        with pytest.raises(DocumentUnknown):
            forget(corpus, index_dir, name)
    receipt = forget(corpus, index_dir, "über/lost.pdf")

    assert (receipt.n_job_records, receipt.is_complete, book.recent()) == (1, True, [])


def test_record_of_a_build_under_way_is_a_residue(
    corpus: Path, index_dir: IndexDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that the receipt does not claim what is not so."""
    build(corpus, index_dir)
    ended_job(index_dir, {"added": ["gone.md"]})
    monkeypatch.setattr(JobBook, "clear", lambda _self: 0)

    receipt = forget(corpus, index_dir, with_file=True)

    assert receipt.residues == ("the record of a build names it",)
