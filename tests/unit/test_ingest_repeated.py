"""Lines repeated over a publisher's documents: banners and footers, never advice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingest.assemble import Piece, TextBuilder, assemble_document
from ingest.model import BlockKind, Document, Metadata, Source
from ingest.repeated import RULE, edge_lines, mark_repeated, repeated_lines

BODY = "A paragraph of this document alone, number {}."


def _document(number: int, *pieces: tuple[BlockKind, str], publisher: str = "P") -> Document:
    builder = TextBuilder()
    for kind, text in pieces:
        builder.add(Piece(text, kind, level=1 if kind is BlockKind.HEADING else 0))
    source = Source(f"{number}.txt", "0" * 64, 1)
    return assemble_document(source, "plain/1", Metadata(title="T", publisher=publisher), builder.finish())


def _shelf(line: str, n: int = 6, kind: BlockKind = BlockKind.PARAGRAPH, publisher: str = "P") -> list[Document]:
    middle = [(BlockKind.PARAGRAPH, BODY)] * 8
    return [
        _document(i, (kind, line), *[(k, t.format(f"{i}-{j}")) for j, (k, t) in enumerate(middle)], publisher=publisher)
        for i in range(n)
    ]


def _marked(documents: list[Document]) -> list[Document]:
    repeated = repeated_lines(edge_lines(document) for document in documents)
    return [mark_repeated(document, repeated) for document in documents]


def test_a_banner_is_marked() -> None:
    """This ensures that a short line at the head of many documents is furniture in each of them."""
    documents = _marked(_shelf("Riverside Health  Library"))

    assert {document.blocks[0].furniture for document in documents} == {RULE}
    assert {block.furniture for document in documents for block in document.blocks[1:]} == {""}


@pytest.mark.parametrize(
    "line",
    [
        "Take it with food.",
        "Call 911",
        "Emergency care for overdose",
        "Naloxone",
        "People report:",
        "Never alone!",
        "Do not stop at once; ask first",
        "Side effects",
        "a line that has rather more words than any banner would ever have in it",
    ],
)
def test_repeated_advice_stays(line: str) -> None:
    """This ensures that a repeated sentence, warning or clinical word is never dropped."""
    documents = _shelf(line, n=50)

    assert _marked(documents) == documents


@pytest.mark.parametrize("kind", [BlockKind.LIST_ITEM, BlockKind.TABLE_ROW, BlockKind.HEADING])
def test_items_rows_and_headings_stay(kind: BlockKind) -> None:
    """This ensures that a symptom listed in a hundred documents stays in each list."""
    documents = _shelf("Sweating", kind=kind)

    assert _marked(documents) == documents


def test_fewer_than_five_documents_are_no_pattern() -> None:
    """This ensures that a small library is not judged."""
    documents = _shelf("Riverside Health Library", n=4)

    assert _marked(documents) == documents


def test_two_percent_of_a_large_publisher_are_needed() -> None:
    """This ensures that five among a thousand are chance."""
    documents = _shelf("Riverside Health Library", n=5) + _shelf(BODY, n=300)

    assert _marked(documents) == documents


def test_publishers_are_counted_apart() -> None:
    """This ensures that one site's banner is not looked for in another's documents."""
    documents = _shelf("Riverside Health Library") + _shelf("Riverside Health Library", n=2, publisher="Q")

    marked = _marked(documents)

    assert [bool(document.blocks[0].furniture) for document in marked] == [True] * 6 + [False] * 2


def test_the_middle_of_a_document_is_its_own() -> None:
    """This ensures that a label inside the text stays though it repeats."""
    documents = [
        _document(i, *[(BlockKind.PARAGRAPH, t) for t in [BODY] * 4 + ["Key points"] + [BODY] * 4]) for i in range(9)
    ]

    assert _marked(documents) == documents


def test_a_document_is_never_emptied() -> None:
    """This ensures that documents of nothing but short lines keep them."""
    documents = [_document(i, (BlockKind.PARAGRAPH, "Riverside Health Library")) for i in range(6)]

    assert _marked(documents) == documents


def test_marking_changes_marks_alone() -> None:
    """This ensures that text, hashes and spans are as they were."""
    document = _shelf("Riverside Health Library")[0]

    [marked] = [mark_repeated(document, {"P": frozenset({"riverside health library"})})]

    assert replace(marked, blocks=document.blocks) == document
    assert [(b.start, b.end) for b in marked.blocks] == [(b.start, b.end) for b in document.blocks]
