"""
Re-proves a whole snapshot: every file, every text, every span, every vector. Reads; never writes, never repairs.

Problems are gathered, not raised: one damaged document does not hide the next.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np

from index.catalogue import StoredDocument, StoredPassage
from index.catalogue_words import CatalogueWords
from index.dense import DenseIndex
from index.dense_config import CANDIDATES_FILE
from index.errors import SnapshotCorrupt
from index.files import list_files
from index.manifest import MANIFEST_FILE
from index.model import Float32, Int64
from index.snapshot import CATALOGUE_FILE, Snapshot, check_sha256_sums
from ingest.assemble import undo_repairs
from ingest.model import Block, Document, text_sha256

_MOST_PROBLEMS = 200
_ROWS_AT_ONCE = 4096
# Of the passages looked for in the quantised index. An intact one of 46,000 misses none of them; a graph may miss some.
_SAMPLED, _MOST_MISSED = 500, 0.05
# Rounding to float16 moves each of d components by at most 2^-11 of itself, and so the length by no more.
_UNIT_TOLERANCE = 2.0**-10


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that does not hold: the rule's name, the file, document or passage, and what is wrong with it."""

    rule: str
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was checked and what was wrong. `problems` holds the first ones only, `n_problems` counts all."""

    snapshot_id: str
    documents: int
    passages: int
    sentences: int
    files: int
    problems: tuple[Problem, ...]
    n_problems: int

    @property
    def is_sound(self) -> bool:
        """Tell whether everything held."""
        return self.n_problems == 0


def verify_snapshot(snapshot: Snapshot, on_progress: Callable[[int, int], None] | None = None) -> VerifyReport:
    """
    Check everything a snapshot promises.

    Args:
        on_progress: hears how many documents are done, and how many there are.
    """
    problems: list[Problem] = []
    n_problems = 0
    for problem in _all_problems(snapshot, on_progress):
        n_problems += 1
        if len(problems) < _MOST_PROBLEMS:
            problems.append(problem)
    counts = snapshot.catalogue.measured_counts()
    return VerifyReport(
        snapshot_id=snapshot.id,
        documents=counts.documents,
        passages=counts.passages,
        sentences=counts.sentences,
        files=len(snapshot.manifest.files),
        problems=tuple(problems),
        n_problems=n_problems,
    )


def _all_problems(snapshot: Snapshot, on_progress: Callable[[int, int], None] | None) -> Iterator[Problem]:
    yield from _file_problems(snapshot)
    yield from _count_problems(snapshot)
    next_ordinal = 0
    try:
        for done, stored in enumerate(snapshot.catalogue.iter_documents(), start=1):
            if stored.first_ordinal != next_ordinal:
                what = f"its passages begin at ordinal {stored.first_ordinal}, expected {next_ordinal}"
                yield Problem("ordinals", stored.id, what)
            next_ordinal = stored.first_ordinal + stored.n_passages
            yield from _stored_problems(snapshot, stored)
            if on_progress is not None:
                on_progress(done, snapshot.catalogue.n_documents)
    except SnapshotCorrupt as error:
        yield Problem("catalogue", error.where, error.what)
    yield from _permalink_problems(snapshot)
    yield from (
        Problem(*found) for found in snapshot.engine.proof(snapshot.path, snapshot.manifest, snapshot.catalogue)
    )
    if snapshot.manifest.milvus is not None:
        return  # which proves its vectors and words itself
    yield from _vector_problems(snapshot)
    yield from _candidate_problems(snapshot)
    if not np.array_equal(snapshot.lexical.ordinals(), np.arange(snapshot.lexical.n)):
        yield Problem("ordinals", "lexical", f"its ordinals are not 0 to {snapshot.lexical.n - 1}, each once")


def _file_problems(snapshot: Snapshot) -> Iterator[Problem]:
    try:
        present = set(list_files(snapshot.path)) - {MANIFEST_FILE}
        for name in sorted(present ^ snapshot.manifest.files.keys()):
            yield Problem("files", name, "missing" if name not in present else "does not belong to the snapshot")
        if snapshot.manifest.files.keys() <= present:
            for error in check_sha256_sums(snapshot.path, snapshot.manifest):
                yield Problem("checksums", error.where, error.what)
    except OSError as error:
        yield Problem("files", str(error.filename), f"can't be read: {error.strerror}")


def _count_problems(snapshot: Snapshot) -> Iterator[Problem]:
    try:
        found = snapshot.catalogue.measured_counts()
    except SnapshotCorrupt as error:
        yield Problem("counts", error.where, error.what)
        return
    claimed = snapshot.manifest.counts
    for what in ("documents", "passages", "sentences"):
        if getattr(found, what) != getattr(claimed, what):
            text = f"the manifest says {getattr(claimed, what)} {what}, there are {getattr(found, what)}"
            yield Problem("counts", MANIFEST_FILE, text)


def _stored_problems(snapshot: Snapshot, stored: StoredDocument) -> Iterator[Problem]:
    try:
        document = snapshot.catalogue.full_document(stored.id)
        passages = snapshot.catalogue.passages_of(stored.id)
    except SnapshotCorrupt as error:
        yield Problem("catalogue", stored.id, error.what)
        return
    if [p.ordinal for p in passages] != list(range(stored.first_ordinal, stored.first_ordinal + stored.n_passages)):
        yield Problem("ordinals", stored.id, f"{len(passages)} passages are there, {stored.n_passages} are recorded")
    yield from document_problems(document)
    yield from passage_problems(document, passages)
    if snapshot.manifest.milvus is not None:
        return
    counts = snapshot.evidence.row_counts()
    for stored_passage in passages:
        expected = 1 + len(stored_passage.passage.sentences)
        if stored_passage.ordinal < len(counts) and counts[stored_passage.ordinal] != expected:
            what = f"{counts[stored_passage.ordinal]} evidence vectors, expected {expected}"
            yield Problem("evidence", stored_passage.passage.id, what)


def document_problems(document: Document) -> Iterator[Problem]:
    """Yield what is wrong with a document by itself."""
    actual = text_sha256(document.text)
    if actual != document.text_sha256:
        yield Problem("text", document.id, f"its SHA-256 is {actual}, recorded is {document.text_sha256}")
    for block in document.blocks:
        text = document.text[block.start : block.end]
        if text != text.strip():
            yield Problem("blocks", document.id, f"block [{block.start}, {block.end}) has white space at its edges")
    end = 0
    for repair in sorted(document.repairs, key=lambda r: (r.start, r.end)):
        if not end <= repair.start <= repair.end <= len(document.text):
            what = f"repair {repair.rule} at [{repair.start}, {repair.end}) overlaps another or leaves the text"
            yield Problem("repairs", document.id, what)
            return
        end = repair.end
    raw = undo_repairs(document.text, document.repairs)
    grown = sum(len(r.original) - (r.end - r.start) for r in document.repairs)
    if len(raw) != len(document.text) + grown:
        what = f"undoing them gives {len(raw)} characters, not {len(document.text) + grown}"
        yield Problem("repairs", document.id, what)
    offsets = [start.offset for start in document.page_starts]
    if offsets and (offsets[0] != 0 or offsets != sorted(offsets) or offsets[-1] > len(document.text)):
        yield Problem("pages", document.id, "pages do not ascend from the beginning of the text")


def passage_problems(document: Document, passages: Sequence[StoredPassage]) -> Iterator[Problem]:
    """Yield what is wrong with a document's passages, alone and together; `passages` in the order of ordinals."""
    for stored in passages:
        yield from _passage_alone(document, stored)
    for one, other in pairwise(sorted((p.passage for p in passages), key=lambda p: (p.start, p.end))):
        if other.start < one.end:
            yield Problem("overlap", other.id, f"begins at {other.start}, {one.id} ends at {one.end}")
    yield from _block_problems(document, passages)


def _passage_alone(document: Document, stored: StoredPassage) -> Iterator[Problem]:
    passage = stored.passage
    if document.text[passage.start : passage.end] != passage.text:
        yield Problem(
            "verbatim", passage.id, f"its text is not that of {document.id} at [{passage.start}, {passage.end})"
        )
        return
    if passage.text != passage.text.strip():
        yield Problem("edges", passage.id, "it has white space at its edges")
    if passage.pages != document.pages_of(passage.start, passage.end):
        what = f"pages {passage.pages}, expected {document.pages_of(passage.start, passage.end)}"
        yield Problem("pages", passage.id, what)
    position = passage.start
    for start, end in passage.sentences:
        if not position <= start < end <= passage.end:
            what = f"sentence [{start}, {end}) overlaps another, is empty or leaves [{passage.start}, {passage.end})"
            yield Problem("sentences", passage.id, what)
            return
        if _holds_content(document, position, start):
            yield Problem("sentences", passage.id, f"[{position}, {start}) belongs to no sentence")
        position = end
    if _holds_content(document, position, passage.end):
        yield Problem("sentences", passage.id, f"[{position}, {passage.end}) belongs to no sentence")


def _holds_content(document: Document, start: int, end: int) -> bool:
    """Tell whether a stretch holds part of a block. Between blocks stand white space and Markdown's marks."""
    # Nearly always a single space; looking for its block took a tenth of all verifying.
    if start >= end or not document.text[start:end].strip():
        return False
    first = max(bisect_right(document.blocks, start, key=lambda block: block.start) - 1, 0)
    for block in islice(document.blocks, first, None):
        if block.start >= end:
            break
        if document.text[max(start, block.start) : min(end, block.end)].strip():
            return True
    return False


def _block_problems(document: Document, passages: Sequence[StoredPassage]) -> Iterator[Problem]:
    """Yield passages that hold what they must not, or cross a section, and content that no passage holds."""
    spans = sorted((p.passage.start, p.passage.end, p.passage.id) for p in passages)
    sections: dict[str, int] = {}
    first = 0
    for block in document.blocks:
        while first < len(spans) and spans[first][1] <= block.start:
            first += 1
        position = block.start
        for start, end, passage_id in spans[first:]:
            if start >= block.end:
                break
            yield from _meeting_problems(block, passage_id, sections)
            if block.is_quotable and document.text[position : max(start, position)].strip():
                yield Problem("coverage", document.id, f"no passage holds [{position}, {start})")
            position = max(position, end)
        if block.is_quotable and document.text[position : block.end].strip():
            yield Problem("coverage", document.id, f"no passage holds [{position}, {block.end})")


def _meeting_problems(block: Block, passage_id: str, sections: dict[str, int]) -> Iterator[Problem]:
    if not block.is_quotable:
        what = f"furniture ({block.furniture})" if block.furniture else "a heading"
        yield Problem("excluded", passage_id, f"it holds {what} at [{block.start}, {block.end})")
    elif sections.setdefault(passage_id, block.section) != block.section:
        yield Problem("sections", passage_id, f"it lies in sections {sections[passage_id]} and {block.section}")


def _permalink_problems(snapshot: Snapshot) -> Iterator[Problem]:
    """Yield retired ids that are passages after all, or that lead to what is not there."""
    try:
        known = CatalogueWords(snapshot.path / CATALOGUE_FILE).passages
        for link in snapshot.permalinks:
            if link.id in known:
                yield Problem("permalinks", link.id, "it is kept as retired and is a passage")
            if link.successor is not None and link.successor not in known:
                yield Problem("permalinks", link.id, f"it leads to {link.successor}, which is no passage")
            if link.document is not None and not 0 <= link.document < snapshot.catalogue.n_documents:
                yield Problem("permalinks", link.id, f"it leads to document {link.document}, which is not there")
    except SnapshotCorrupt as error:
        yield Problem("permalinks", error.where, error.what)


def _vector_problems(snapshot: Snapshot) -> Iterator[Problem]:
    for first in range(0, snapshot.dense.n, _ROWS_AT_ONCE):
        ordinals = np.arange(first, min(first + _ROWS_AT_ONCE, snapshot.dense.n))
        yield from _length_problems("dense", ordinals, snapshot.dense.vectors(ordinals))
        # All rows of so many passages in one array: by passage it took four times as long.
        rows = snapshot.evidence.vectors(ordinals)
        owners = np.repeat(ordinals, [len(matrix) for matrix in rows])
        yield from _length_problems("evidence", owners, np.concatenate(rows))


def _candidate_problems(snapshot: Snapshot) -> Iterator[Problem]:
    """Yield that the quantised index does not propose these passages: rows asked for by their own vectors."""
    dense = snapshot.dense
    if not isinstance(dense, DenseIndex) or dense.candidates is None:
        return
    rows = np.unique(np.linspace(0, dense.n - 1, _SAMPLED).astype(np.int64))
    pairs = zip(rows.tolist(), dense.vectors(rows), strict=True)
    missed = [row for row, vector in pairs if _is_missed(row, vector, dense)]
    if len(missed) > _MOST_MISSED * rows.size:
        what = f"{len(missed)} of {rows.size} passages are not found by their own vectors, first: ordinal {missed[0]}"
        yield Problem("candidates", CANDIDATES_FILE, what)


def _is_missed(row: int, vector: Float32, dense: DenseIndex) -> bool:
    # Of many equal passages another one may stand in its place.
    found, scores = dense.search(vector, 1)
    return bool(found[0] != row and scores[0] < dense.similarities(vector, np.array([row]))[0])


def _length_problems(rule: str, owners: Int64, rows: Float32) -> Iterator[Problem]:
    lengths = np.linalg.norm(rows, axis=1)
    # Written so that a length that is no number counts as wrong.
    for row in np.flatnonzero(~(np.abs(lengths - 1.0) <= _UNIT_TOLERANCE)).tolist():
        yield Problem(rule, f"ordinal {owners[row]}", f"a vector has length {lengths[row]:.4f}, not 1")
