"""Laying a document out: nothing lost, nothing twice, headings in order, passages where they are."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from index.testing import tiny_document, tiny_passages
from ingest.assemble import Piece, TextBuilder, assemble_document
from ingest.model import BlockKind, Document, Metadata, PageStart, Source
from service.linked_data import describe_document
from service.reading import PART_CHARS, PartKind, lay_out


def document_of(*pieces: Piece, title: str = "T") -> Document:
    builder = TextBuilder()
    for piece in pieces:
        builder.add(piece)
    return assemble_document(Source("d.md", "0" * 64, 1), "tiny/1", Metadata(title=title), builder.finish())


words = st.text(st.sampled_from("ab .\n1é"), min_size=1, max_size=30).map(str.strip).filter(bool)
pieces = st.builds(
    Piece, words, st.sampled_from(BlockKind), level=st.integers(1, 6), furniture=st.sampled_from(["", "", "teaser"])
)


@given(st.lists(pieces, min_size=1, max_size=12))
def test_every_block_is_shown_once_in_order(pieces: list[Piece]) -> None:
    """This ensures that no word of a document disappears from the reader or is shown twice."""
    document = document_of(*pieces, title="no block is called this")

    leaf = lay_out(document, tiny_passages(document))

    shown = [line.text for part in leaf.parts for line in part.lines]
    assert [document.text[b.start : b.end] for b in document.blocks] == shown


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12))
def test_headings_never_skip_a_level(levels: list[int]) -> None:
    """This ensures that whoever walks a page by its headings misses none, and that siblings stay siblings."""
    document = document_of(*(Piece(f"H{i}", BlockKind.HEADING, level=level) for i, level in enumerate(levels)))

    shown = [1] + [part.level for part in lay_out(document, ()).parts]

    assert all(below <= above + 1 for above, below in pairwise(shown))
    for i, (a, b) in enumerate(pairwise(levels)):
        assert (a < b) <= (shown[i + 1] <= shown[i + 2])
        if a == b:
            assert shown[i + 1] == shown[i + 2]


def test_title_is_not_said_twice() -> None:
    """This ensures that a first heading equal to the page's own is left to it, and a later one is shown."""
    heading = Piece("T", BlockKind.HEADING, level=1)
    document = document_of(
        Piece("Menu", BlockKind.PARAGRAPH, furniture="navigation"), heading, Piece("x", BlockKind.PARAGRAPH), heading
    )

    kinds = [part.kind for part in lay_out(document, ()).parts]

    assert kinds == [PartKind.LEFT_OUT, PartKind.PARAGRAPH, PartKind.HEADING]


def test_passage_over_two_blocks_has_one_beginning() -> None:
    """This ensures that an anchor is there once, however many paragraphs a passage spans."""
    document = tiny_document("a.md", "A", {"H": ["One. Two.", "Three."]})
    (first, last) = tiny_passages(document)
    joined = type(first)(
        "p", "a.md", first.start, last.end, document.text[first.start : last.end], "A", (), ((first.start, last.end),)
    )

    found = [
        p for part in lay_out(document, (joined,)).parts for line in part.lines for p in line.pieces if p.passage_id
    ]

    assert [(p.text, p.is_first) for p in found] == [("One. Two.", True), ("Three.", False)]


def test_numbers_of_a_list_are_kept() -> None:
    """This ensures that "2." stays beside its item, and that a mere bullet is left to the layout."""
    text = "1. One\n\n2. Two\n\n- Three"
    blocks = document_of(*(Piece(word, BlockKind.LIST_ITEM) for word in ("One", "Two", "Three"))).blocks
    starts = (text.index("One"), text.index("Two"), text.index("Three"))
    placed = tuple(type(b)(start, start + b.end - b.start, b.kind) for b, start in zip(blocks, starts, strict=True))
    document = Document(Source("d.txt", "0" * 64, 1), "plain/1", Metadata(title="T"), text, "", placed)

    (part,) = lay_out(document, ()).parts

    assert [line.marker for line in part.lines] == ["1.", "2.", ""]


def test_line_breaks_stay_where_they_mean_something() -> None:
    """This ensures that an address keeps its lines, while text wrapped at a margin flows."""
    wrapped = "A sentence that an editor has wrapped at its margin of sixty-odd\ncharacters goes on."
    document = document_of(Piece("Clinic\n1 Road\nTown", BlockKind.PARAGRAPH), Piece(wrapped, BlockKind.PARAGRAPH))

    shown = [part.lines[0].keeps_breaks for part in lay_out(document, ()).parts]

    assert shown == [True, False]


def test_pages_of_the_source_are_numbered_where_they_begin() -> None:
    """This ensures that a reader of a PDF finds the page that a citation names."""
    built = document_of(*(Piece(word, BlockKind.PARAGRAPH) for word in ("one", "two", "three")))
    starts = (PageStart(0, 7), PageStart(built.blocks[2].start, 8))
    document = Document(built.source, "pdf/1", built.metadata, built.text, built.text_sha256, built.blocks, (), starts)

    assert [part.page for part in lay_out(document, ()).parts] == [7, 0, 8]


def test_leaves_end_before_a_heading_and_hold_everything() -> None:
    """This ensures that a long document is cut between chapters, and that its parts together are all of it."""
    sections = {f"H{n}": ["word " * 4_000] for n in range(12)}
    document = tiny_document("b.md", "B", sections)

    n_leaves = lay_out(document, ()).n_leaves
    leaves = [lay_out(document, (), number) for number in range(1, n_leaves + 1)]

    assert n_leaves > 2
    assert all(leaf.parts[0].kind is PartKind.HEADING for leaf in leaves)
    shown = [line.text for leaf in leaves for part in leaf.parts for line in part.lines]
    assert [document.text[b.start : b.end] for b in document.blocks] == shown
    assert all(sum(len(t.text) for p in leaf.parts for t in p.lines) <= PART_CHARS + 25_000 for leaf in leaves)


def test_document_without_blocks_is_an_empty_page() -> None:
    """This ensures that a document that holds nothing readable breaks nothing."""
    document = Document(Source("d", "0" * 64, 0), "plain/1", Metadata(title="T"), "", "", ())

    assert lay_out(document, (), leaf=5).parts == ()


def test_description_can_not_leave_its_element() -> None:
    """This ensures that a hostile title stays data, and that unknown facts are left out."""
    described = describe_document(Metadata(title="</script><script>&", url="javascript:x"), "L")

    assert "<" not in described
    assert json.loads(described) == {
        "@context": "https://schema.org",
        "@type": "MedicalWebPage",
        "name": "</script><script>&",
        "isPartOf": {"@type": "Collection", "name": "L"},
    }
