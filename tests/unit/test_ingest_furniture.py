"""
Furniture: what is marked and, above all, what is not.

The held-out files were written before the rules and are not to be tuned on; a miss there stays a miss.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.assemble import place_blocks
from ingest.furniture import MAX_BLOCK_CHARS, furniture_rule, mark_furniture
from ingest.limits import Limits
from ingest.model import Block, BlockKind
from ingest.readers.markdown import read_markdown

DATA = Path(__file__).parents[1] / "data" / "furniture"


def _labelled(name: str) -> list[tuple[str, str]]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [(rule, text) for rule, _, text in (line.partition("|") for line in lines)]


def _content(name: str) -> list[str]:
    return (DATA / name).read_text(encoding="utf-8").splitlines()


def _marks(markdown: str) -> list[tuple[str, str]]:
    extraction = read_markdown(markdown.encode(), Limits(), "x.md")
    blocks = mark_furniture(extraction.text, extraction.blocks)
    return [(block.furniture, extraction.text[block.start : block.end]) for block in blocks]


@pytest.mark.parametrize(("rule", "text"), _labelled("furniture-dev.txt"))
def test_furniture_is_named(rule: str, text: str) -> None:
    """This ensures that each kind of furniture is found by the rule made for it."""
    assert furniture_rule(text) == rule


@pytest.mark.parametrize("text", _content("content-dev.txt") + _content("content-held-out.txt"))
def test_content_is_never_marked(text: str) -> None:
    """This ensures that look-alikes, emergency numbers and bare symptoms stay quotable."""
    assert furniture_rule(text) == ""


def test_recall_on_unseen_furniture() -> None:
    """This ensures that the rules hold on furniture that they were not written from (measured: 54 of 56)."""
    cases = _labelled("furniture-held-out.txt")

    found = [rule for rule, text in cases if furniture_rule(text)]
    right = [rule for rule, text in cases if furniture_rule(text) == rule]

    assert len(found) >= 0.95 * len(cases)
    assert len(right) >= 0.95 * len(cases)


def test_the_lists_are_large_enough() -> None:
    """This ensures that the figures above rest on enough examples and that none is in two lists."""
    texts = [text for name in ("furniture-dev.txt", "furniture-held-out.txt") for _, text in _labelled(name)]
    texts += _content("content-dev.txt") + _content("content-held-out.txt")

    assert len(texts) >= 200
    assert len(texts) == len(set(texts))


def test_long_text_is_content() -> None:
    """This ensures that no rule looks at a real paragraph."""
    assert furniture_rule("Leave a reply. " * (MAX_BLOCK_CHARS // 10)) == ""


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Friday, June 12, 2015\nTop Stories", "dateline"),
        ("Friday, June 12, 2015\nThe dose was lowered.", ""),
        ("[Read more](https://example.org/next)", "teaser"),
        ("**Skip to content**", "navigation"),
        ("[Skip](#a) the dose if you vomit.", ""),
    ],
)
def test_blocks_of_several_lines_and_with_marks(text: str, rule: str) -> None:
    """This ensures that a block is furniture only if each of its lines is, whatever Markdown wraps it."""
    assert furniture_rule(text) == rule


def test_form_fields_count_only_in_a_form() -> None:
    """This ensures that "Name" or "Phone" alone is content where no comment form stands above it."""
    marks = _marks("Text.\n\nName\n\nLeave a Reply\n\nName *\n\nEmail\n\nText again.\n\nPhone\n")

    assert [rule for rule, _ in marks] == ["", "", "comment_form", "comment_form", "comment_form", "", ""]


def test_a_scene_under_a_heading_is_alt_text() -> None:
    """This ensures that a picture's description is marked under a heading and nowhere else."""
    marks = _marks("# Head\n\nwoman sitting at kitchen table\n\nText.\n\nwoman sitting at kitchen table\n")

    assert [rule for rule, _ in marks] == ["", "image_alt", "", ""]


@pytest.mark.parametrize(
    "text", ["nausea and vomiting", "people with kidney failure", "swelling in both hands", "group B strep"]
)
def test_a_symptom_under_a_heading_is_content(text: str) -> None:
    """This ensures that a phrase in lower case under a heading is not taken for a picture's description."""
    assert _marks(f"# Head\n\n{text}\n\nText.\n")[1] == ("", text)


def test_table_rows_are_never_marked() -> None:
    """This ensures that cells such as dates and links stay."""
    marks = _marks("| When | Where |\n|---|---|\n| May 3, 2020 | https://example.org |\n")

    assert [rule for rule, _ in marks] == ["", ""]


def test_marks_of_readers_stay() -> None:
    """This ensures that what a reader knows to be furniture is not judged again."""
    text = "A sentence of content."
    blocks = (Block(0, len(text), BlockKind.PARAGRAPH, furniture="aside"),)

    assert mark_furniture(text, blocks) == blocks


def test_a_marked_heading_leaves_the_paths() -> None:
    """This ensures that text below "Advertisement" belongs to the section above it, and sub-headings move with it."""
    extraction = read_markdown(
        b"# Top\n\n## Dose\n\nOne.\n\n## Advertisement\n\nTwo.\n\n### Sub\n\nThree.\n\n## Next Dose\n\nFour.\n",
        Limits(),
        "x",
    )

    blocks = mark_furniture(extraction.text, extraction.blocks)

    paths = {extraction.text[b.start : b.end]: b.heading_path for b in blocks}
    assert paths["Two."] == ("Top", "Dose")
    assert paths["Three."] == ("Top", "Dose", "Sub")
    assert paths["Four."] == ("Top", "Next Dose")


def test_blocks_keep_order_and_span() -> None:
    """This ensures that marking changes nothing but marks and heading paths."""
    text = "Dose\n\nRelated articles\n\nTake it at night."
    spans = [(found.start(), found.end()) for found in re.finditer(r"[^\n]+", text)]
    kinds = (BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.PARAGRAPH)
    blocks = place_blocks(text, [Block(start, end, kind) for (start, end), kind in zip(spans, kinds, strict=True)])

    marked = mark_furniture(text, blocks)

    assert tuple(replace(block, furniture="") for block in marked) == blocks
    assert [block.furniture for block in marked] == ["", "teaser", ""]


@pytest.mark.parametrize(
    ("opening", "expected"),
    [
        (["A guide to sleep", "North Clinic, 21 November 2026"], ["imprint", "imprint"]),
        (["A GUIDE TO SLEEP\nNorth Clinic, 3 May 2024"], ["imprint"]),
        (["In case of fever", "call your doctor today"], ["", ""]),
        (["Sleep well.", "North Clinic, 21 November 2026"], ["", ""]),
        (["A guide to sleep", "Do not mix it with alcohol! Clinic, 3 May 2024"], ["", ""]),
    ],
)
def test_title_page_is_no_content(opening: list[str], expected: list[str]) -> None:
    """This ensures that title and imprint are quoted to nobody, and that advice without a full stop stays."""
    paragraphs = [*opening, "Sleep comes back within weeks."]
    text = "\n\n".join(paragraphs)
    starts = [text.index(paragraph) for paragraph in paragraphs]
    pairs = zip(starts, paragraphs, strict=True)
    blocks = place_blocks(text, [Block(start, start + len(p), BlockKind.PARAGRAPH) for start, p in pairs])

    assert [block.furniture for block in mark_furniture(text, blocks)] == [*expected, ""]


def test_date_further_down_is_no_title_page() -> None:
    """This ensures that what stands under a heading is never taken for an imprint."""
    text = "Visits\n\nNext one\n\nClinic room, 21 November 2026"
    spans = [(found.start(), found.end()) for found in re.finditer(r"[^\n]+", text)]
    kinds = (BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.PARAGRAPH)
    blocks = place_blocks(text, [Block(start, end, kind) for (start, end), kind in zip(spans, kinds, strict=True)])

    assert [block.furniture for block in mark_furniture(text, blocks)] == ["", "", ""]
