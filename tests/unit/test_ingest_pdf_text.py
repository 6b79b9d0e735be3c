"""How lines meet, and that every repair can be undone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ingest.assemble import TextBuilder, undo_repairs
from ingest.model import BlockKind, Extraction
from ingest.readers.pdf_blocks import Draft
from ingest.readers.pdf_joins import join_broken
from ingest.readers.pdf_lines import RAISED_FIRST
from ingest.readers.pdf_tables import Line
from ingest.readers.pdf_text import Vocabulary, build_piece, raw_text


def a_draft(*texts: str, page: int = 1, furniture: str = "") -> Draft:
    lines = [Line(text, 72, 500, 700 - 12 * i, 10, page) for i, text in enumerate(texts)]
    draft = Draft(BlockKind.PARAGRAPH, page, lines, x0=72, x1=500, furniture=furniture)
    draft.opens_region = draft.closes_region = not furniture
    return draft


def build(drafts: Sequence[Draft]) -> Extraction:
    vocabulary = Vocabulary([d.lines for d in drafts])
    builder = TextBuilder()
    page = 0
    for draft in drafts:
        piece = build_piece(draft, vocabulary, page)
        page = max([page, *(number for _, number in piece.page_starts)])
        builder.add(piece)
    return builder.finish()


def joined(*lines: str) -> tuple[str, list[tuple[str, str]]]:
    drafts = [a_draft(*lines)]
    extraction = build(drafts)
    assert undo_repairs(extraction.text, extraction.repairs) == raw_text(drafts) == "\n".join(lines)
    return extraction.text, [(r.rule, r.original) for r in extraction.repairs]


def test_lines_meet_with_a_space() -> None:
    """This ensures that a line break inside a paragraph is one space, with the line feed on record."""
    assert joined("Call for", "help.") == ("Call for help.", [("line_join", "\n")])


def test_a_hyphen_goes_where_the_document_writes_the_word_whole() -> None:
    """This ensures that a word broken at a line end is made whole when the document knows it whole."""
    text, repairs = joined("People in with-", "drawal need care. In short, withdrawal hurts.")

    assert text == "People in withdrawal need care. In short, withdrawal hurts."
    assert repairs == [("hyphen", "-\n")]


def test_a_hyphen_stays_where_the_document_writes_it() -> None:
    """This ensures that a compound keeps its hyphen when the document shows it with one."""
    text, repairs = joined("This is a long-", "term plan. A long-term plan works.")

    assert text == "This is a long-term plan. A long-term plan works."
    assert repairs == [("line_join", "\n")]


def test_a_hyphen_stays_where_nothing_is_known() -> None:
    """This ensures that an unknown word is shown as printed rather than guessed."""
    assert joined("It is evidence-", "based.")[0] == "It is evidence-based."


def test_a_document_that_hyphenates_joins_unknown_halves() -> None:
    """This ensures that one proven word break lets a rare word be joined, unless both halves are words."""
    text, _ = joined("with-", "drawal. The withdrawal of bupre-", "norphine and a drug-", "free life. A drug is free.")

    assert text == "withdrawal. The withdrawal of buprenorphine and a drug-free life. A drug is free."


@pytest.mark.parametrize(
    ("above", "below", "expected"),
    [
        ("aged 18-", "25 years", "aged 18-25 years"),
        ("from 10\u2013", "20 mg", "from 10\u201320 mg"),
        ("the drug\u2014", "as it is", "the drug\u2014as it is"),
        ("and \u2014", "so", "and \u2014 so"),
        ("take and/", "or give", "take and/or give"),
        ("SARS-", "CoV", "SARS-CoV"),
        ("minus -", "sign", "minus - sign"),
        ("see https://example.org/a/", "b for more", "see https://example.org/a/b for more"),
        ("see www.example.org.", "Then", "see www.example.org. Then"),
        ("\u6234\u836f", "\u7269", "\u6234\u836f\u7269"),
        ("co\u00ad", "operate", "cooperate"),
        ("well\u2010", "being", "well\u2010being"),
    ],
)
def test_breaks_that_are_no_space(above: str, below: str, expected: str) -> None:
    """This ensures that dashes, addresses and scripts without blanks meet as they are printed."""
    text, repairs = joined(above, below)

    assert text == expected
    assert len(repairs) == 1


def test_ligatures_symbols_and_soft_hyphens_are_recorded() -> None:
    """This ensures that each changed character can be found again in the repairs."""
    text, repairs = joined("\uf0b7 The \ufb01rst o\ufb00er of e\ufb03cient co\u00adoperation")

    assert text == "\u2022 The first offer of efficient cooperation"
    assert repairs == [
        ("symbol", "\uf0b7"),
        ("ligature", "\ufb01"),
        ("ligature", "\ufb00"),
        ("ligature", "\ufb03"),
        ("soft_hyphen", "\u00ad"),
    ]


def test_raised_digits_are_superscripts() -> None:
    """This ensures that ten to the third does not become one hundred and three."""
    drafts = [a_draft(f"10{chr(RAISED_FIRST + 3)} cells")]

    extraction = build(drafts)

    assert extraction.text == "10\u00b3 cells"
    assert undo_repairs(extraction.text, extraction.repairs) == "103 cells"


@pytest.mark.parametrize(
    "lines",
    [
        ("\u00ad\u00ad", "word"),
        ("\u00ad word", "next"),
        ("word \u00ad", "next"),
        ("word", "\u00ad", "next"),
        ("a\u00ad", "\u00adb"),
        ("\ufb01\u00ad", "\ufb02y"),
        ("end \u00ad",),
        ("\u00ad begin",),
    ],
)
def test_removals_at_one_place_can_be_told_apart(lines: tuple[str, ...]) -> None:
    """This ensures that several characters taken out side by side come back in their order."""
    text, _ = joined(*lines)

    assert "\u00ad" not in text
    assert text == text.strip()


def test_furniture_between_pages_goes_into_the_repair() -> None:
    """This ensures that a hyphenated word over a page break is whole and the removed lines are on record."""
    drafts = join_broken(
        [
            a_draft("The withdrawal is", "hard. It is a with-"),
            a_draft("Handbook 1", furniture="running_footer"),
            a_draft("Chapter \ufb01ve", page=2, furniture="running_header"),
            a_draft("drawal of days.", page=2),
        ]
    )

    extraction = build(drafts)

    assert extraction.text == "The withdrawal is hard. It is a withdrawal of days."
    assert [(r.rule, r.original) for r in extraction.repairs] == [
        ("line_join", "\n"),
        ("hyphen+running_footer+running_header", "-\n\nHandbook 1\n\nChapter \ufb01ve\n\n"),
    ]
    assert undo_repairs(extraction.text, extraction.repairs) == raw_text(drafts)
    assert extraction.text[extraction.page_starts[1].offset :] == "drawal of days."


def test_a_paragraph_over_three_pages() -> None:
    """This ensures that a paragraph that fills a page in the middle begins two pages inside it."""
    drafts = join_broken(
        [
            a_draft("one two"),
            a_draft("1", furniture="page_number"),
            a_draft("three four", page=2),
            a_draft("2", page=2, furniture="page_number"),
            a_draft("five six.", page=3),
        ]
    )

    extraction = build(drafts)

    assert extraction.text == "one two three four five six."
    assert [(p.page, p.offset) for p in extraction.page_starts] == [(1, 0), (2, 8), (3, 19)]
    assert undo_repairs(extraction.text, extraction.repairs) == "one two\n\n1\n\nthree four\n\n2\n\nfive six."


def test_finished_paragraphs_are_not_joined() -> None:
    """This ensures that a new paragraph on a new page stays one, with the furniture between as blocks."""
    drafts = [a_draft("It ends."), a_draft("1", furniture="page_number"), a_draft("it begins.", page=2)]

    assert [d.raw for d in join_broken(drafts)] == ["It ends.", "1", "it begins."]


def test_a_heading_over_a_column_break_is_one() -> None:
    """This ensures that a heading whose second line opens the next column is not two."""
    halves = [a_draft("What did the study find about"), a_draft("overdose?")]
    for half in halves:
        half.kind = BlockKind.HEADING

    assert [d.raw for d in join_broken([*halves, a_draft("No overdose.")])] == [
        "What did the study find about\noverdose?",
        "No overdose.",
    ]


def test_a_heading_is_never_swallowed() -> None:
    """This ensures that an unfinished line does not run on into a heading of the next page."""
    heading = a_draft("Treatment", page=2)
    heading.kind = BlockKind.HEADING

    drafts = join_broken([a_draft("without a full stop"), heading, a_draft("Methadone works.", page=2)])

    assert len(drafts) == 3
