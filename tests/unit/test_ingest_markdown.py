"""Markdown: exact spans of every kind of block in the file itself."""

from __future__ import annotations

import pytest

from ingest.errors import SourceTooLarge
from ingest.limits import Limits
from ingest.model import Block, BlockKind, Extraction
from ingest.readers.markdown import read_markdown


def _read(text: str) -> Extraction:
    return read_markdown(text.encode(), Limits(), "x.md")


def _shapes(text: str) -> list[tuple[str, str]]:
    extraction = _read(text)
    return [
        (block.furniture or block.kind.value, extraction.text[block.start : block.end]) for block in extraction.blocks
    ]


def _only(text: str, kind: BlockKind) -> list[tuple[str, Block]]:
    extraction = _read(text)
    return [(extraction.text[b.start : b.end], b) for b in extraction.blocks if b.kind is kind]


@pytest.mark.parametrize(
    ("source", "level", "text"),
    [
        ("# One", 1, "One"),
        ("###   Three ###", 3, "Three"),
        ("Setext\n===", 1, "Setext"),
        ("Setext two\n---", 2, "Setext two"),
        ("## **Bold** ##", 2, "Bold"),
        ("## A **b** c", 2, "A **b** c"),
        ("###### Six", 6, "Six"),
        ("> # Quoted", 1, "Quoted"),
        ("- # In a list", 1, "In a list"),
    ],
)
def test_a_heading_is_its_text_without_marks(source: str, level: int, text: str) -> None:
    """This ensures that heading paths hold words and not marks."""
    [(found, block)] = _only(f"{source}\n\nBelow.\n", BlockKind.HEADING)

    assert (found, block.level) == (text, level)


def test_a_heading_id_is_the_element_id() -> None:
    """This ensures that an explicit anchor is kept for links and left out of the heading."""
    [(found, block)] = _only("## Peak {#peak-days}\n\nDay two.", BlockKind.HEADING)

    assert (found, block.element_id) == ("Peak", "peak-days")


@pytest.mark.parametrize("source", ["Take this at once.\n---", "One line\nand another\n---", "Bring with you:\n---"])
def test_a_sentence_over_a_rule_is_no_heading(source: str) -> None:
    """This ensures that a sentence with a rule under it is not lost as a setext heading."""
    assert _shapes(source)[0][0] == "paragraph"


def test_a_page_of_text_after_a_mark_is_no_heading() -> None:
    """This ensures that a paragraph written with # is still quotable."""
    assert _shapes("# " + "Long words follow. " * 30)[0][0] == "paragraph"


def test_indented_text_is_text() -> None:
    """This ensures that text indented by an export is a paragraph and its dashes are list items."""
    text = "Intro.\n\n        Deep words.\n\n        - deep item\n"

    assert _shapes(text) == [("paragraph", "Intro."), ("paragraph", "Deep words."), ("list_item", "deep item")]


def test_nested_items_keep_what_stands_above_them() -> None:
    """This ensures that an item's context is the lead-in, and in a nested list the item above."""
    items = _only("Bring:\n\n- papers\n  - card\n\n    Or a copy.\n- 1\n1. 1\n2. two\n", BlockKind.LIST_ITEM)

    assert [(text, block.context) for text, block in items] == [
        ("papers", "Bring:"),
        ("card", "Bring: papers"),
        ("Or a copy.", "Bring: papers card"),
        ("1", "Bring:"),
        ("1", ""),
        ("two", ""),
    ]


def test_a_list_right_under_a_line_has_it_as_lead_in() -> None:
    """This ensures that a lead-in without a colon counts where no blank line parts it from the list."""
    items = _only("It is rare. Signs include\n- chills\n", BlockKind.LIST_ITEM)

    assert [(text, block.context) for text, block in items] == [("chills", "Signs include")]


def test_a_paragraph_far_above_is_no_lead_in() -> None:
    """This ensures that a closed sentence with a blank line below it is not dragged into every item."""
    [(_, block)] = _only("A closed sentence.\n\n- item\n", BlockKind.LIST_ITEM)

    assert block.context == ""


def test_table_rows_carry_their_header() -> None:
    """This ensures that a row is one block without outer pipes and knows its header."""
    rows = _only("| Drug | Onset |\n|---|---|\n| heroin | 6 hours |\nmethadone | 30 hours\n", BlockKind.TABLE_ROW)

    assert [(text, block.context) for text, block in rows] == [
        ("Drug | Onset", ""),
        ("heroin | 6 hours", "Drug | Onset"),
        ("methadone | 30 hours", "Drug | Onset"),
    ]


def test_code_fences_are_text_without_their_marks() -> None:
    """This ensures that what stands in a fence is kept, a block for each run of lines."""
    assert _shapes("```text\none\ntwo\n\nthree\n```\nafter") == [
        ("paragraph", "one\ntwo"),
        ("paragraph", "three"),
        ("paragraph", "after"),
    ]


def test_an_open_fence_is_reported() -> None:
    """This ensures that a fence that swallows the rest of a file is named with its line."""
    assert _read("a\n\n```\nrest").warnings == ("the code block opened at line 3 is never closed",)


def test_html_keeps_its_text_and_hides_comments() -> None:
    """This ensures that text between block tags is content, and comments and scripts are furniture."""
    text = (
        "<div>\nheld <b>in</b> tags\n</div>\n\n<!-- a\nnote -->\n\n<script>var x;</script>\n\nSaid <!-- draft --> here."
    )

    assert _shapes(text) == [
        ("paragraph", "held <b>in</b> tags"),
        ("html_comment", "<!-- a\nnote -->"),
        ("html_code", "<script>var x;</script>"),
        ("paragraph", "Said"),
        ("html_comment", "<!-- draft -->"),
        ("paragraph", "here."),
    ]


def test_an_open_comment_is_reported() -> None:
    """This ensures that a comment that hides the rest of a file is named with its line."""
    assert "line 2" in _read("a\n<!-- open\n\nrest").warnings[0]


def test_definitions_images_and_notes() -> None:
    """This ensures that link targets and images alone are furniture while notes are content without their label."""
    text = (
        "![a pill](p.png)\n\n[ref]: http://example.org 'T'\n\n"
        "[^1]: A note of\nsome lines.\n[^2]: second\n\n[^3]: word\n"
    )

    assert _shapes(text) == [
        ("image_alt", "![a pill](p.png)"),
        ("link_definition", "[ref]: http://example.org 'T'"),
        ("paragraph", "A note of\nsome lines."),
        ("paragraph", "second"),
        ("paragraph", "word"),
    ]


def test_quotes_are_paragraphs() -> None:
    """This ensures that quoted lines are content, each level on its own."""
    assert _shapes("> one\n> two\n>\n> > deep") == [("paragraph", "one\n> two"), ("paragraph", "deep")]


def test_words_below_the_deepest_level_are_kept() -> None:
    """This ensures that nesting beyond what the parser follows loses nothing."""
    shapes = _shapes("\n".join(">" * depth + f" w{depth}" for depth in range(1, 200)))

    assert " ".join(text for _, text in shapes).split()[-1].endswith("w199")


def test_front_matter_is_furniture_and_speaks() -> None:
    """This ensures that front matter stays in the text, is never quoted, and gives the metadata."""
    extraction = _read("---\ntitle: Nights\ntags: a, b\n---\n# Head\n\nBody.\n")

    assert extraction.text.startswith("---\ntitle")
    assert extraction.blocks[0].furniture == "front_matter"
    assert extraction.metadata == {"title": "Nights", "tags": ("a", "b")}
    assert extraction.blocks[1].start == extraction.text.index("Head")


@pytest.mark.parametrize(
    ("limits", "unit"), [(Limits(max_text_chars=10), "characters"), (Limits(max_front_matter_bytes=5), "bytes")]
)
def test_caps_name_both_numbers(limits: Limits, unit: str) -> None:
    """This ensures that a file over a cap is refused with its size and the cap."""
    with pytest.raises(SourceTooLarge, match=unit):
        read_markdown(b"---\ntitle: A long one\n---\n\nText.\n", limits, "x.md")


def test_a_long_single_line_is_one_paragraph() -> None:
    """This ensures that a file without line ends is read whole."""
    extraction = _read("word " * 200_000)

    assert [(b.start, b.end) for b in extraction.blocks] == [(0, 999_999)]
