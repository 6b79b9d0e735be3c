"""The catalogue of documents and passages."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from index.catalogue import Catalogue, CatalogueCounts, write_catalogue
from index.errors import SnapshotCorrupt, StorageFailed
from index.model import Filters
from index.testing import Library, tiny_document, tiny_documents, tiny_passages
from ingest.model import SourceType

LIBRARY = tiny_documents()
PASSAGES = [passage for _, passages in LIBRARY for passage in passages]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    # A name with everything that has a meaning in an address.
    return tmp_path / "a b?mode=rw&c#d%41.sqlite"


@pytest.fixture
def catalogue(path: Path) -> Catalogue:
    write_catalogue(path, LIBRARY)
    return Catalogue.open(path)


def tamper(path: Path, sql: str) -> Catalogue:
    with sqlite3.connect(path) as connection:
        connection.execute(sql)
    connection.close()
    return Catalogue.open(path)


def test_counts(path: Path) -> None:
    """This ensures that what was written is counted, and counted alike when opened."""
    counts = write_catalogue(path, iter(LIBRARY))

    catalogue = Catalogue.open(path)

    assert counts == CatalogueCounts(4, 7, 12)
    assert (catalogue.n_documents, catalogue.n_passages, catalogue.n_sentences) == (4, 7, 12)
    assert catalogue.measured_counts() == counts


def test_documents_come_back_whole(catalogue: Catalogue) -> None:
    """This ensures that no field of a document is lost: text, metadata, blocks, repairs, pages, warnings."""
    assert [catalogue.full_document(document.id) for document, _ in LIBRARY] == [document for document, _ in LIBRARY]


def test_stored_documents_carry_what_lists_show(catalogue: Catalogue) -> None:
    """This ensures that a list of documents needs no text."""
    document, passages = LIBRARY[3]

    stored = catalogue.document(document.id)

    assert stored is not None
    assert (stored.id, stored.source, stored.metadata) == (document.id, document.source, document.metadata)
    assert (stored.reader, stored.text_sha256, stored.warnings) == (
        document.reader,
        document.text_sha256,
        document.warnings,
    )
    assert (stored.n_chars, stored.n_blocks, stored.n_pages) == (len(document.text), 2, 2)
    assert (stored.number, stored.first_ordinal, stored.n_passages) == (3, 6, len(passages))


def test_passages_come_back_whole_in_the_order_asked_for(catalogue: Catalogue) -> None:
    """This ensures that no field of a passage is lost, and ordinals count from 0 through all documents."""
    ordinals = [6, 0, 3, 3]

    found = catalogue.passages(np.array(ordinals))

    assert [stored.ordinal for stored in found] == ordinals
    assert [stored.passage for stored in found] == [PASSAGES[i] for i in ordinals]
    assert [stored.document.id for stored in found] == [PASSAGES[i].document_id for i in ordinals]
    assert found[0].passage.pages == (1, 2)
    assert catalogue.passages([]) == []


@pytest.mark.parametrize("ordinals", [[7], [-1], [0, 99]])
def test_ordinals_that_do_not_exist_are_refused(catalogue: Catalogue, ordinals: list[int]) -> None:
    """This ensures that an index of another snapshot is noticed."""
    with pytest.raises(IndexError, match="among 7"):
        catalogue.passages(ordinals)


def test_passages_by_id_and_by_document(catalogue: Catalogue) -> None:
    """This ensures that permalinks and the reader page find their passages."""
    stored = catalogue.passage_by_id(PASSAGES[4].id)

    assert stored is not None
    assert (stored.ordinal, stored.passage) == (4, PASSAGES[4])
    assert [p.ordinal for p in catalogue.passages_of("guides/methadone.md")] == [0, 1, 2]


@pytest.mark.parametrize("unknown", ["", "nothing", "guides/methadone.md' OR 1=1 --", "\ud800", "a\x00b", "%"])
def test_what_is_unknown_is_absent(catalogue: Catalogue, unknown: str) -> None:
    """This ensures that any string may be asked for."""
    assert catalogue.document(unknown) is None
    assert catalogue.passage_by_id(unknown) is None
    assert catalogue.passages_of(unknown) == []
    for ask in (catalogue.text, catalogue.full_document):
        with pytest.raises(KeyError):
            ask(unknown)


def test_documents_are_listed_by_id_in_pages(catalogue: Catalogue) -> None:
    """This ensures that paging is stable and tolerates any numbers."""
    ids = sorted(document.id for document, _ in LIBRARY)

    assert [d.id for d in catalogue.list_documents()] == ids
    assert [d.id for d in catalogue.list_documents(1, 2)] == ids[1:3]
    assert catalogue.list_documents(10, 5) == []
    assert [d.id for d in catalogue.list_documents(-3, 1)] == ids[:1]
    assert catalogue.list_documents(0, -1) == []
    assert [d.number for d in catalogue.iter_documents()] == [0, 1, 2, 3]


METHADONE, NALOXONE, NEWS, PAPER = (document.id for document, _ in LIBRARY)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(source_type=(SourceType.NEWS,)), {NEWS}),
        (Filters(source_type=(SourceType.NEWS, SourceType.CHARITY)), {NEWS, NALOXONE}),
        (Filters(tags=("opioids",)), {METHADONE, PAPER}),
        (Filters(tags=("opioids", "overdose")), {METHADONE, PAPER, NALOXONE}),
        (Filters(tags=("opioid",)), set()),
        (Filters(audience=("families",)), {NALOXONE}),
        (Filters(publisher=("Example Charity", "nobody")), {NALOXONE}),
        (Filters(language="en"), {METHADONE, NALOXONE}),
        (Filters(language="EN-gb"), {METHADONE}),
        (Filters(language="e_"), set()),
        (Filters(published_after=date(2019, 5, 17)), {METHADONE, NALOXONE}),
        (Filters(published_after=date(2019, 5, 18)), {NALOXONE}),
        (Filters(published_before=date(2021, 11, 1)), {METHADONE, NALOXONE}),
        (Filters(published_after=date(2020, 1, 1), published_before=date(2020, 12, 31)), set()),
        (Filters(tags=("opioids",), language="en"), {METHADONE}),
        (Filters(tags=("x'; DROP TABLE documents; --", "\ud800")), set()),
        (Filters(tags=tuple(f"tag {i}" for i in range(50_000))), set()),
    ],
    ids=str,
)
def test_filters(catalogue: Catalogue, filters: Filters, expected: set[str]) -> None:
    """This ensures that lists, counts and masks agree on which documents pass: any value of a field, all fields."""
    mask = catalogue.allowed(filters)

    assert {d.id for d in catalogue.list_documents(filters=filters)} == expected
    assert catalogue.count_documents(filters) == len(expected)
    assert mask is not None
    assert mask.tolist() == [passage.document_id in expected for passage in PASSAGES]


def test_no_filter_is_no_mask(catalogue: Catalogue) -> None:
    """This ensures that an unrestricted search does not pay for a mask."""
    assert catalogue.allowed(Filters()) is None
    assert catalogue.count_documents() == catalogue.count_documents(Filters()) == 4


def test_masks_are_kept_and_can_not_be_changed(catalogue: Catalogue) -> None:
    """This ensures that a mask shared between requests stays what it is."""
    mask = catalogue.allowed(Filters(language="es"))

    assert mask is not None
    assert catalogue.allowed(Filters(language="es")) is mask
    with pytest.raises(ValueError, match="read-only"):
        mask[0] = True


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    """This ensures that the checksum of a catalogue tells whether two builds hold the same."""
    write_catalogue(tmp_path / "a", LIBRARY)
    write_catalogue(tmp_path / "b", iter(tiny_documents()))

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_withdrawn_text_is_nowhere_in_the_file(path: Path) -> None:
    """This ensures that a catalogue without a document holds none of its text."""
    write_catalogue(path, LIBRARY[1:])

    assert b"ethadone is a long-acting" not in path.read_bytes()


def test_unusual_text_survives(path: Path) -> None:
    """This ensures that no character is changed on the way to the disk and back."""
    document = tiny_document("odd.txt", "O\x00dd '\"", {"Ünï": ["NUL \x00 inside. \u2028 Emoji 😀 \U0010ffff \r end."]})
    library: Library = ((document, tiny_passages(document)),)
    write_catalogue(path, library)

    catalogue = Catalogue.open(path)

    assert catalogue.text("odd.txt") == document.text
    assert catalogue.full_document("odd.txt") == document
    assert [stored.passage for stored in catalogue.passages([0])] == list(library[0][1])


def test_an_empty_catalogue_can_be_read(path: Path) -> None:
    """This ensures that a library without documents is no special case."""
    assert write_catalogue(path, []) == CatalogueCounts(0, 0, 0)

    catalogue = Catalogue.open(path)

    assert catalogue.list_documents() == []
    assert catalogue.measured_counts() == CatalogueCounts(0, 0, 0)
    mask = catalogue.allowed(Filters(language="en"))
    assert mask is not None
    assert mask.shape == (0,)


def test_many_threads_may_read_at_once(catalogue: Catalogue) -> None:
    """This ensures that threads beyond the number of connections wait their turn and get right answers."""

    def ask(i: int) -> bool:
        passages = catalogue.passages([i % 7, (i + 1) % 7])
        expected = [PASSAGES[i % 7], PASSAGES[(i + 1) % 7]]
        text = catalogue.text(passages[0].document.id)
        return [p.passage for p in passages] == expected and expected[0].text in text

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(500)))


def test_an_open_catalogue_outlives_its_file(catalogue: Catalogue, path: Path) -> None:
    """This ensures that a snapshot collected while in use goes on answering, also to threads that come later."""
    path.unlink()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: catalogue.passages([i % 7])[0].ordinal, range(100)))

    assert found == [i % 7 for i in range(100)]


def test_reading_after_closing_is_refused(catalogue: Catalogue) -> None:
    """This ensures that using a closed snapshot is noticed instead of waiting for ever."""
    catalogue.close()

    with pytest.raises(RuntimeError, match="closed"):
        catalogue.document(METHADONE)


def test_texts_are_checked_when_loaded(path: Path) -> None:
    """This ensures that a changed text is never quoted from."""
    write_catalogue(path, LIBRARY)
    catalogue = tamper(path, "UPDATE contents SET text = replace(text, 'once', 'twice')")

    with pytest.raises(SnapshotCorrupt, match=r"guides/methadone\.md has SHA-256 [0-9a-f]{64}, recorded is"):
        catalogue.text(METHADONE)


def test_texts_are_read_once(catalogue: Catalogue) -> None:
    """This ensures that the text used last is held in memory."""
    assert catalogue.text(METHADONE) is catalogue.text(METHADONE)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE passages SET text = text || '!'",
        "UPDATE passages SET sentences = '[['",
        "UPDATE passages SET heading_path = 7",
        "UPDATE documents SET source_type = 'unheard of'",
        "UPDATE documents SET published = 'yesterday'",
        "DROP TABLE passages",
        "ALTER TABLE documents ADD COLUMN more",
    ],
)
def test_damaged_rows_become_one_error(path: Path, sql: str) -> None:
    """This ensures that nothing but SnapshotCorrupt comes out of a damaged catalogue."""
    write_catalogue(path, LIBRARY)
    catalogue = tamper(path, sql)

    with pytest.raises(SnapshotCorrupt, match="catalogue"):
        catalogue.passages([0])


@pytest.mark.parametrize("content", [None, b"", b"not a database, but long enough to be looked at" * 10])
def test_files_that_are_no_catalogue_are_refused(path: Path, content: bytes | None) -> None:
    """This ensures that a missing, empty or foreign file becomes our error."""
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SnapshotCorrupt, match="catalogue"):
        Catalogue.open(path)


def test_shared_ids_are_refused(path: Path) -> None:
    """This ensures that two passages or documents of one id never get into an index."""
    document, passages = LIBRARY[0]
    other = tiny_document("other.md", "Other", {"A": ["Text."]})
    twin = replace(tiny_passages(other)[0], id=passages[0].id)

    with pytest.raises(ValueError, match=r"passages\.id"):
        write_catalogue(path, [LIBRARY[0], (other, [twin])])
    path.unlink()
    with pytest.raises(ValueError, match=r"documents\.id"):
        write_catalogue(path, [LIBRARY[0], (document, [])])


def test_passages_of_another_document_are_refused(path: Path) -> None:
    """This ensures that a passage is never filed under the wrong document."""
    with pytest.raises(ValueError, match="belongs to"):
        write_catalogue(path, [(LIBRARY[0][0], LIBRARY[1][1])])


def test_a_place_that_can_not_be_written_is_a_storage_error(tmp_path: Path) -> None:
    """This ensures that SQLite's own errors do not come through."""
    with pytest.raises(StorageFailed, match="catalogue"):
        write_catalogue(tmp_path / "missing" / "catalogue.sqlite", LIBRARY)
