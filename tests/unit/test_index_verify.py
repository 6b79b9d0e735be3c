"""Re-proving a snapshot."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from index.dense import write_dense
from index.errors import SnapshotCorrupt
from index.permalinks import LinkState, Permalink, write_permalinks
from index.snapshot import Snapshot, open_snapshot, open_snapshot_folder
from index.store import IndexDir
from index.testing import Library, tiny_document, tiny_documents, tiny_passages, write_tiny_snapshot
from index.verify import VerifyReport, document_problems, verify_snapshot
from ingest.model import Document, Passage, Repair

DOCUMENT = tiny_document(
    "a.md",
    "Title",
    {"First": ["One sentence. Two sentences.", "~ Skip to content"], "Second": ["Three. Four.", "Five."]},
)
PASSAGES = tiny_passages(DOCUMENT)


def verify(tmp_path: Path, library: Library) -> VerifyReport:
    index_dir = IndexDir(tmp_path)
    write_tiny_snapshot(index_dir, library)
    with open_snapshot(index_dir) as snapshot:
        return verify_snapshot(snapshot)


def found(report: VerifyReport) -> set[tuple[str, str]]:
    return {(problem.rule, problem.where) for problem in report.problems}


def span(document: Document, start: int, end: int, passage_id: str = "cut") -> Passage:
    """Return a passage of any stretch, one sentence long."""
    text = document.text[start:end]
    return replace(PASSAGES[0], id=passage_id, start=start, end=end, text=text, sentences=((start, end),))


def tampered(tmp_path: Path, change: Callable[[Path], object]) -> Snapshot:
    """Return a snapshot with something changed behind the back of its manifest."""
    index_dir = IndexDir(tmp_path)
    path = index_dir.snapshot_path(write_tiny_snapshot(index_dir))
    change(path)
    manifest = json.loads((path / "manifest.json").read_text())
    for name, identity in manifest["files"].items():
        identity["bytes"] = (path / name).stat().st_size
    (path / "manifest.json").write_text(json.dumps(manifest))
    return open_snapshot_folder(path, check_sha256=False)


def execute(sql: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        connection = sqlite3.connect(path / "catalogue.sqlite", isolation_level=None)
        connection.execute(sql)
        connection.close()

    return change


def test_a_sound_snapshot_has_no_problems(tmp_path: Path) -> None:
    """This ensures that everything is counted, and progress is told document by document."""
    index_dir = IndexDir(tmp_path)
    snapshot_id = write_tiny_snapshot(index_dir)
    steps: list[tuple[int, int]] = []

    with open_snapshot(index_dir) as snapshot:
        report = verify_snapshot(snapshot, lambda done, of: steps.append((done, of)))

    assert report.is_sound, report.problems
    assert (report.snapshot_id, report.documents, report.passages, report.sentences) == (snapshot_id, 4, 7, 12)
    assert report.files == len(snapshot.manifest.files) > 10
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_an_empty_snapshot_is_sound(tmp_path: Path) -> None:
    """This ensures that a library without documents is no special case."""
    assert verify(tmp_path, ()).is_sound


FIRST = PASSAGES[0]
HEADING = next(b for b in DOCUMENT.blocks if b.level)
FURNITURE = next(b for b in DOCUMENT.blocks if b.furniture)


@pytest.mark.parametrize(
    ("passages", "expected"),
    [
        ([replace(FIRST, text=FIRST.text.replace("One", "Two")), *PASSAGES[1:]], {("verbatim", FIRST.id)}),
        ([span(DOCUMENT, FIRST.start - 1, FIRST.end), *PASSAGES[1:]], {("edges", "cut")}),
        ([replace(FIRST, sentences=FIRST.sentences[:1]), *PASSAGES[1:]], {("sentences", FIRST.id)}),
        ([replace(FIRST, sentences=FIRST.sentences[1:]), *PASSAGES[1:]], {("sentences", FIRST.id)}),
        ([replace(FIRST, sentences=((0, 3),)), *PASSAGES[1:]], {("sentences", FIRST.id)}),
        ([replace(FIRST, sentences=FIRST.sentences[::-1]), *PASSAGES[1:]], {("sentences", FIRST.id)}),
        ([*PASSAGES, span(DOCUMENT, FIRST.start + 4, FIRST.end)], {("overlap", "cut")}),
        ([span(DOCUMENT, HEADING.start, FIRST.end), *PASSAGES[1:]], {("excluded", "cut")}),
        ([*PASSAGES, span(DOCUMENT, FURNITURE.start, FURNITURE.end)], {("excluded", "cut")}),
        (PASSAGES[1:], {("coverage", "a.md")}),
        (PASSAGES[:-1], {("coverage", "a.md")}),
        ([span(DOCUMENT, FIRST.start, FIRST.end - 4), *PASSAGES[1:]], {("coverage", "a.md")}),
        ([replace(FIRST, pages=(1, 1)), *PASSAGES[1:]], {("pages", FIRST.id)}),
        ((), {("coverage", "a.md")}),
    ],
    ids=[
        "another word",
        "white space",
        "last sentence missing",
        "first sentence missing",
        "sentence elsewhere",
        "sentences out of order",
        "overlap",
        "heading",
        "furniture",
        "first passage missing",
        "last passage missing",
        "end missing",
        "pages",
        "no passages",
    ],
)
def test_each_rule_of_passages_is_checked(
    tmp_path: Path, passages: list[Passage], expected: set[tuple[str, str]]
) -> None:
    """This ensures that a splitter's mistake is found, under its own name."""
    report = verify(tmp_path, ((DOCUMENT, tuple(passages)),))

    assert found(report) == expected
    assert not report.is_sound


def test_a_passage_across_sections_is_found(tmp_path: Path) -> None:
    """This ensures that a passage lies under one heading, also where no heading block stands between."""
    blocks = tuple(replace(block, section=i) for i, block in enumerate(DOCUMENT.blocks) if not block.level)
    document = replace(DOCUMENT, blocks=blocks)
    last_two = span(document, PASSAGES[1].start, PASSAGES[2].end)

    report = verify(tmp_path, ((document, (PASSAGES[0], last_two)),))

    assert found(report) == {("sections", "cut")}


def test_marks_between_blocks_need_no_sentence(tmp_path: Path) -> None:
    """This ensures that Markdown's list marks inside a passage are no gap in its sentences."""
    first, second = PASSAGES[1], PASSAGES[2]
    both = replace(span(DOCUMENT, first.start, second.end), id="both", sentences=(*first.sentences, *second.sentences))

    assert verify(tmp_path, ((DOCUMENT, (PASSAGES[0], both)),)).is_sound


@pytest.mark.parametrize(
    ("repairs", "is_sound"),
    [
        ((Repair(0, 2, "", "a"), Repair(2, 2, "-\n", "b")), True),
        ((Repair(0, 3, "x", "a"), Repair(2, 4, "y", "b")), False),
        ((Repair(5, 10**6, "x", "a"),), False),
        ((Repair(-1, 1, "x", "a"),), False),
    ],
)
def test_repairs_must_be_undoable(repairs: tuple[Repair, ...], is_sound: bool) -> None:
    """This ensures that the raw extraction can be rebuilt from what is stored."""
    problems = list(document_problems(replace(DOCUMENT, repairs=repairs)))

    assert (problems == []) is is_sound


def test_a_document_with_the_wrong_checksum_is_found(tmp_path: Path) -> None:
    """This ensures that the text's own checksum is computed anew."""
    report = verify(tmp_path, ((replace(DOCUMENT, text_sha256="0" * 64), PASSAGES),))

    assert found(report) == {("text", "a.md")}


@pytest.mark.parametrize(
    ("sql", "rules"),
    [
        ("UPDATE contents SET text = replace(text, 'once', 'nevr')", {"checksums", "text", "verbatim"}),
        ("UPDATE passages SET text = replace(text, 'once', 'nevr')", {"checksums", "verbatim"}),
        ("UPDATE contents SET blocks = '[[' WHERE number = 1", {"checksums", "catalogue"}),
        ("UPDATE passages SET sentences = '[]' WHERE ordinal = 2", {"checksums", "counts", "evidence", "sentences"}),
        ("UPDATE documents SET first_ordinal = 2 WHERE number = 1", {"checksums", "ordinals", "coverage", "verbatim"}),
        ("DELETE FROM passages WHERE ordinal = 6", {"checksums", "counts", "ordinals", "coverage"}),
        ("DELETE FROM documents WHERE number = 3", {"checksums", "counts"}),
        ("UPDATE documents SET published = 'never' WHERE number = 1", {"checksums", "catalogue"}),
    ],
)
def test_a_tampered_catalogue_is_found(tmp_path: Path, sql: str, rules: set[str]) -> None:
    """This ensures that damage shows in the contents themselves, and one damaged row hides no other."""
    with tampered(tmp_path, execute(sql)) as snapshot:
        report = verify_snapshot(snapshot)

    assert {problem.rule for problem in report.problems} == rules
    assert report.problems[0].rule == "checksums"


def test_vectors_that_are_not_unit_length_are_found(tmp_path: Path) -> None:
    """This ensures that scores are cosines; the row is named."""

    def stretch(path: Path) -> None:
        with open_snapshot_folder(path) as snapshot:
            rows = snapshot.dense.vectors(np.arange(7))
        rows[3] = (1.01 * rows[3]).astype(np.float16)
        write_dense(path / "dense.faiss", rows)
        evidence = np.load(path / "evidence.npy")
        evidence[-1] = np.nan
        np.save(path / "evidence.npy", evidence)

    with tampered(tmp_path, stretch) as snapshot:
        report = verify_snapshot(snapshot)

    assert {("dense", "ordinal 3"), ("evidence", "ordinal 6")} <= found(report)


def test_problems_are_counted_beyond_those_listed(tmp_path: Path) -> None:
    """This ensures that a report stays readable when everything is wrong."""
    document = tiny_document("long.md", "Long", {"A": [f"Paragraph {i}." for i in range(300)]})

    report = verify(tmp_path, ((document, ()),))

    assert (len(report.problems), report.n_problems) == (200, 300)


def test_files_that_vanish_while_open_are_found(tmp_path: Path) -> None:
    """This ensures that verify looks at the disk, not at what is open."""
    index_dir = IndexDir(tmp_path)
    path = index_dir.snapshot_path(write_tiny_snapshot(index_dir))
    with open_snapshot(index_dir) as snapshot:
        (path / "dense.faiss").unlink()
        (path / "extra").write_text("x")

        report = verify_snapshot(snapshot)

    assert found(report) == {("files", "dense.faiss"), ("files", "extra")}


def test_the_tiny_documents_use_every_field() -> None:
    """This ensures that the tests above are run on documents with pages, repairs, furniture and list items."""
    documents = [document for document, _ in tiny_documents()]

    assert any(d.page_starts and d.repairs and d.warnings for d in documents)
    assert any(b.furniture for d in documents for b in d.blocks)


def test_tampering_is_refused_on_opening(tmp_path: Path) -> None:
    """This ensures that what the tests above change can't be opened in the ordinary way."""
    tampered(tmp_path, execute("UPDATE passages SET context = 'x'")).close()

    with pytest.raises(SnapshotCorrupt, match="SHA-256"):
        open_snapshot(IndexDir(tmp_path))


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    """This ensures that a retired id that is a passage after all, or leads to none, does not pass."""
    day, absent = date(2026, 11, 22), "0" * 20
    first = next(passage for _, passages in tiny_documents() for passage in passages)

    def change(path: Path) -> None:
        (path / "permalinks.sqlite").unlink()
        links = [
            Permalink(first.id, LinkState.CHANGED, day, 99),
            Permalink(absent, LinkState.MOVED, day, 0, "1" * 20),
        ]
        write_permalinks(path / "permalinks.sqlite", links)

    with tampered(tmp_path, change) as snapshot:
        problems = [p for p in verify_snapshot(snapshot).problems if p.rule == "permalinks"]

    assert sorted(p.where for p in problems) == sorted([first.id, first.id, absent])
