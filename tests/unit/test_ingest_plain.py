"""Plain text: runs, items, and headings only where they surely are."""

from __future__ import annotations

import pytest

from ingest.errors import SourceTooLarge
from ingest.limits import Limits
from ingest.model import BlockKind, Extraction
from ingest.readers.plain import read_plain

BODY = "Withdrawal begins some hours after the last dose. It is hard but it passes."


def _read(text: str) -> Extraction:
    return read_plain(text.encode(), Limits(), "x.txt")


def _kinds(text: str) -> list[tuple[str, str]]:
    extraction = _read(text)
    return [(block.kind.value, extraction.text[block.start : block.end]) for block in extraction.blocks]


def test_runs_between_blank_lines_are_paragraphs() -> None:
    """This ensures that a single line break stays inside a paragraph and a blank line ends it."""
    text = f"  {BODY}\nIt goes on.  \n \u00a0\n{BODY}\n"

    assert _kinds(text) == [("paragraph", f"{BODY}\nIt goes on."), ("paragraph", BODY)]


@pytest.mark.parametrize(
    "line",
    [
        "What Is Tolerance?",
        "How long does it last?",
        "Onset And Peak",
        "The Road To Recovery",
        "MEDICINES THAT HELP",
        "Side effects of methadone",
        "Why It's Worth Waiting",
    ],
)
def test_titles_alone_over_a_paragraph_are_headings(line: str) -> None:
    """This ensures that a title-like line between blank lines heads the text below it."""
    extraction = _read(f"{BODY}\n\n{line}\n\n{BODY}")

    assert extraction.blocks[1].kind is BlockKind.HEADING
    assert extraction.blocks[2].heading_path == (line,)


@pytest.mark.parametrize(
    "line",
    [
        "Phone: 123",
        "Call 911 Immediately",
        "Never Use Alone",
        "DO NOT MIX WITH ALCOHOL",
        "Do not share needles",
        "Warning Signs Must Be Taken Seriously",
        "More like this: Living With Pain",
        "Naloxone reverses an overdose",
        "It hurts.",
        "Methadone, 30 mg",
        "the road to recovery",
        "www.example.org",
        "Dr. Jane Roe",
        "Keep the Person Awake",
        "A Line That Goes On And On With Far Too Many Words To Be Any Kind Of Title At All",
    ],
)
def test_lines_that_may_be_content_are_not_headings(line: str) -> None:
    """This ensures that a heading is never guessed where a sentence, label or piece of advice could be lost."""
    assert _kinds(f"{BODY}\n\n{line}\n\n{BODY}")[1] == ("paragraph", line)


def test_the_first_line_alone_is_the_title_whatever_its_case() -> None:
    """This ensures that a file's title in lower case still heads it, at level 1."""
    extraction = _read(f"how the nights come back\n\n{BODY}")

    assert [(b.kind, b.level) for b in extraction.blocks] == [(BlockKind.HEADING, 1), (BlockKind.PARAGRAPH, 0)]


def test_short_lines_in_a_row_are_not_headings() -> None:
    """This ensures that a list without bullets keeps its items."""
    lines = ["Cold Sweats", "Muscle Cramps", "Runny Nose"]

    kinds = _kinds("\n\n".join([BODY, *lines, BODY]))

    assert [kind for kind, _ in kinds] == ["paragraph"] * 5


@pytest.mark.parametrize("before", ["These are the signs:", "He had three,", "Bring with you;"])
def test_a_line_after_a_colon_is_no_heading(before: str) -> None:
    """This ensures that what a sentence introduces is kept as content."""
    assert _kinds(f"{before}\n\nYour Own Pillow\n\n{BODY}")[1][0] == "paragraph"


def test_a_last_line_is_no_heading() -> None:
    """This ensures that a title-like line with nothing below it stays quotable."""
    assert _kinds(f"{BODY}\n\nThe Long Way Home")[1][0] == "paragraph"


def test_an_underlined_line_is_a_heading() -> None:
    """This ensures that a rule of = or - under one line makes it a heading."""
    extraction = _read(f"Part\n====\n\n{BODY}\n\na smaller part\n---\n\n{BODY}")

    assert [(b.kind, b.level) for b in extraction.blocks][::2] == [(BlockKind.HEADING, 1), (BlockKind.HEADING, 2)]


@pytest.mark.parametrize("mark", ["•", "-", "*", "–", "·"])
def test_bullets_are_items_with_their_lead_in(mark: str) -> None:
    """This ensures that an item's block is its text without the mark, and its context the sentence before the list."""
    extraction = _read(f"Much is known. People report:\n  {mark} sweating\n  {mark} yawning\n    all day\n\nEnd of it.")

    items = [block for block in extraction.blocks if block.kind is BlockKind.LIST_ITEM]

    assert [extraction.text[b.start : b.end] for b in items] == ["sweating", "yawning\n    all day"]
    assert {b.context for b in items} == {"People report:"}


def test_numbered_lines_are_items() -> None:
    """This ensures that numbers that count up are marks."""
    assert _kinds("1. Lie down\n2. Call someone\n3) Wait") == [
        ("list_item", "Lie down"),
        ("list_item", "Call someone"),
        ("list_item", "Wait"),
    ]


def test_a_lead_in_reaches_over_a_blank_line() -> None:
    """This ensures that a paragraph ending in a colon introduces the list below it."""
    extraction = _read("Bring with you:\n\n- a blanket\n\n- a book")

    assert [b.context for b in extraction.blocks] == ["", "Bring with you:", "Bring with you:"]


def test_a_wrapped_line_with_a_dash_or_number_is_no_item() -> None:
    """This ensures that a paragraph is not torn where a wrapped line begins with a dash or a number."""
    text = "She took it for years\n- too many years - and stopped at the age of\n40. Then she slept."

    assert _kinds(text) == [("paragraph", text)]


def test_a_line_without_words_is_no_block() -> None:
    """This ensures that rules and ornaments are neither content nor an error."""
    assert _kinds(f"{BODY}\n\n* * *\n\n-----\n\n{BODY}") == [("paragraph", BODY), ("paragraph", BODY)]


def test_a_guessed_charset_is_reported() -> None:
    """This ensures that the build report names a text whose charset was guessed."""
    extraction = read_plain("Вызовите скорую помощь немедленно.".encode("cp1251"), Limits(), "x.txt")

    assert "guessed to be cp1251" in extraction.warnings[0]


def test_too_long_a_text_is_refused_with_both_numbers() -> None:
    """This ensures that the cap on characters is named beside the file's own number."""
    with pytest.raises(SourceTooLarge, match="has 30 characters, at most 10"):
        read_plain(b"a " * 15, Limits(max_text_chars=10), "x.txt")


def test_a_long_single_line_is_one_paragraph() -> None:
    """This ensures that a file without line ends is read whole."""
    extraction = _read("word " * 400_000)

    assert [(b.start, b.end) for b in extraction.blocks] == [(0, 1_999_999)]


def test_a_question_with_a_comma_is_a_heading() -> None:
    """This ensures that a heading that asks two things at once does not end up in the passage above it."""
    question = "WHAT DOES IT DO, AND WHEN DOES IT STOP?"

    assert _kinds(f"{BODY}\n\n{question}\n\n{BODY}") == [
        ("paragraph", BODY),
        ("heading", question),
        ("paragraph", BODY),
    ]


def test_a_line_with_a_comma_is_no_heading() -> None:
    """This ensures that a list of things on a line of its own stays content."""
    line = "Naloxone, Gloves, Water"

    assert _kinds(f"{BODY}\n\n{line}\n\n{BODY}") == [("paragraph", BODY), ("paragraph", line), ("paragraph", BODY)]
