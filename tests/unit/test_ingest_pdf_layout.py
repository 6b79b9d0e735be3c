"""Reading order and blocks of PDFs as people make them: columns, tables, headings, lists."""

from __future__ import annotations

import random

import pytest
from pdf_support import MEDICINES, WITHDRAWAL, column, interleaved, read, texts, wrap
from reportlab.lib import colors
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, Table

from ingest.assemble import undo_repairs
from ingest.model import BlockKind


def test_lines_of_one_column_become_paragraphs() -> None:
    """This ensures that a plain page gives its paragraphs with lines joined by one space, each join recorded."""

    def draw(canvas: Canvas) -> None:
        y = column(canvas, wrap(WITHDRAWAL, 450), 72, 760)
        column(canvas, wrap(MEDICINES, 450), 72, y - 8)

    extraction = read(draw)

    assert texts(extraction) == [WITHDRAWAL, MEDICINES]
    raw = "\n\n".join("\n".join(wrap(text, 450)) for text in (WITHDRAWAL, MEDICINES))
    assert undo_repairs(extraction.text, extraction.repairs) == raw


def test_columns_drawn_one_after_the_other() -> None:
    """This ensures that two columns in file order are read one after the other."""

    def draw(canvas: Canvas) -> None:
        column(canvas, wrap(WITHDRAWAL, 220), 60, 750)
        column(canvas, wrap(MEDICINES, 220), 310, 750)

    assert texts(read(draw)) == [WITHDRAWAL, MEDICINES]


def test_columns_drawn_line_by_line_across() -> None:
    """This ensures that interleaved columns, which pypdf and pdfium mix up, come out apart."""
    assert texts(read(lambda c: interleaved(c, [(60, wrap(WITHDRAWAL, 220)), (310, wrap(MEDICINES, 220))]))) == [
        WITHDRAWAL,
        MEDICINES,
    ]


def test_three_columns_drawn_across() -> None:
    """This ensures that a leaflet's three columns are read in turn."""
    third = "Call the line at any hour of the day or night. " * 5
    columns = [(40.0, wrap(WITHDRAWAL, 150)), (215.0, wrap(MEDICINES, 150)), (390.0, wrap(third, 150))]

    assert texts(read(lambda c: interleaved(c, columns))) == [WITHDRAWAL, MEDICINES, third.strip()]


def test_lines_drawn_in_any_order() -> None:
    """This ensures that positions and not the drawing order decide."""
    items = [(60.0, 750.0 - 12 * i, line) for i, line in enumerate(wrap(WITHDRAWAL, 220))]
    items += [(310.0, 750.0 - 12 * i, line) for i, line in enumerate(wrap(MEDICINES, 220))]
    random.Random(3).shuffle(items)

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 10)
        for x, y, line in items:
            canvas.drawString(x, y, line)

    assert texts(read(draw)) == [WITHDRAWAL, MEDICINES]


def test_a_title_across_both_columns_comes_first() -> None:
    """This ensures that what spans the columns is read before them."""

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica-Bold", 18)
        canvas.drawCentredString(300, 790, "Treatment for opioid dependence, step by step")
        interleaved(canvas, [(60, wrap(WITHDRAWAL, 220)), (310, wrap(MEDICINES, 220))])

    extraction = read(draw)

    assert texts(extraction) == ["Treatment for opioid dependence, step by step", WITHDRAWAL, MEDICINES]
    assert extraction.blocks[0].kind is BlockKind.HEADING
    assert extraction.blocks[1].heading_path == ("Treatment for opioid dependence, step by step",)


def test_a_figure_across_both_columns_parts_them_into_bands() -> None:
    """This ensures that both columns above a full-width figure are read before those below it."""
    caption = "Figure 1. Share of people who are in treatment after one year, by medicine and by country."

    def draw(canvas: Canvas) -> None:
        y = interleaved(canvas, [(60, wrap(WITHDRAWAL, 220)), (310, wrap(MEDICINES, 220))])
        canvas.rect(60, y - 80, 470, 70)
        column(canvas, [caption], 60, y - 95)
        interleaved(canvas, [(60, wrap(MEDICINES, 220)), (310, wrap(WITHDRAWAL, 220))], y - 125)

    extraction = read(draw)

    assert texts(extraction) == [WITHDRAWAL, MEDICINES, caption, MEDICINES, WITHDRAWAL]
    assert texts(extraction, BlockKind.CAPTION) == [caption]


def test_a_sidebar_does_not_mix_with_the_text_beside_it() -> None:
    """This ensures that a box beside the text is read as a whole."""
    note = "Call the line at any hour. It is free and nobody asks for your name. You can also write a letter."

    def draw(canvas: Canvas) -> None:
        column(canvas, wrap(WITHDRAWAL + " " + MEDICINES, 300), 60, 750)
        canvas.rect(390, 640, 150, 130)
        column(canvas, ["Get help now"], 400, 750, "Helvetica-Bold", 12)
        column(canvas, wrap(note, 130, size=9), 400, 732, size=9, lead=11)

    assert texts(read(draw)) == [WITHDRAWAL + " " + MEDICINES, "Get help now", note]


ROWS = [
    ["Medicine", "Form", "Onset", "Usual dose"],
    ["Methadone", "Liquid", "30 to 60 minutes", "60 mg"],
    ["Buprenorphine", "Tablet under the tongue", "40 minutes", "16 mg"],
    ["Naltrexone", "Monthly injection", "2 days", "380 mg"],
]


@pytest.mark.parametrize("is_ruled", [True, False])
def test_table_rows_stay_rows(is_ruled: bool) -> None:
    """This ensures that the cells of a row stay together, with the header row as their context."""

    def draw(canvas: Canvas) -> None:
        column(canvas, wrap(WITHDRAWAL, 470), 60, 760)
        table = Table(ROWS, style=[("GRID", (0, 0), (-1, -1), 0.5, colors.black)] if is_ruled else [])
        table.wrapOn(canvas, 470, 300)
        table.drawOn(canvas, 60, 560)
        column(canvas, wrap(MEDICINES, 470), 60, 530)

    extraction = read(draw)

    rows = [b for b in extraction.blocks if b.kind is BlockKind.TABLE_ROW]
    assert [extraction.text[b.start : b.end] for b in rows] == [" | ".join(row) for row in ROWS]
    assert [b.context for b in rows] == ["", *["Medicine | Form | Onset | Usual dose"] * 3]
    assert texts(extraction, BlockKind.PARAGRAPH) == [WITHDRAWAL, MEDICINES]


@pytest.mark.parametrize("is_ruled", [True, False])
def test_cells_of_several_lines_stay_whole(is_ruled: bool) -> None:
    """This ensures that a wrapped cell is one cell and two wordy table columns are not columns of text."""
    style = getSampleStyleSheet()["BodyText"]
    cells = [["Medicine", "What it does"], ["Methadone", MEDICINES[:200]], ["Naltrexone", WITHDRAWAL[:200]]]

    def draw(canvas: Canvas) -> None:
        rows = [[Paragraph(cell, style) for cell in row] for row in cells]
        ruling = [("VALIGN", (0, 0), (-1, -1), "TOP")]
        if is_ruled:
            ruling.append(("GRID", (0, 0), (-1, -1), 0.5, colors.black))  # type: ignore[arg-type]
        table = Table(rows, colWidths=[120, 250], style=ruling)
        table.wrapOn(canvas, 470, 300)
        table.drawOn(canvas, 60, 560)

    assert texts(read(draw)) == [" | ".join(cell.strip() for cell in row) for row in cells]


def test_bullets_with_hanging_indents() -> None:
    """This ensures that each item is one block with its bullet, and that the lead-in is its context."""
    items = ["yawning and sweating, often the very first sign that the body misses the drug", "cramps", "chills"]

    def draw(canvas: Canvas) -> None:
        y = column(canvas, ["Signs of withdrawal are:"], 72, 760)
        for item in items:
            canvas.drawString(84, y, "\u2022")
            y = column(canvas, wrap(item, 250), 100, y)
        column(canvas, wrap(MEDICINES, 450), 72, y)

    extraction = read(draw)

    assert texts(extraction, BlockKind.LIST_ITEM) == [f"\u2022 {item}" for item in items]
    assert {b.context for b in extraction.blocks if b.kind is BlockKind.LIST_ITEM} == {"Signs of withdrawal are:"}
    assert texts(extraction, BlockKind.PARAGRAPH) == ["Signs of withdrawal are:", MEDICINES]


def test_numbered_items_and_a_number_that_wraps() -> None:
    """This ensures that numbered steps are items, and a line that begins with a number by chance is not."""

    def draw(canvas: Canvas) -> None:
        y = column(canvas, ["1. Call for help.", "2. Give naloxone.", "3. Stay with the person."], 72, 760)
        column(
            canvas, ["People were followed up for one year and the median age of all was", "12. The end."], 72, y - 12
        )

    extraction = read(draw)

    assert texts(extraction, BlockKind.LIST_ITEM) == [
        "1. Call for help.",
        "2. Give naloxone.",
        "3. Stay with the person.",
    ]
    assert texts(extraction, BlockKind.PARAGRAPH) == [
        "People were followed up for one year and the median age of all was 12. The end."
    ]


def test_headings_rank_by_size_and_weight() -> None:
    """This ensures that type makes the outline: larger first, bold body type last, run-in words none."""

    def draw(canvas: Canvas) -> None:
        column(canvas, ["Opioid withdrawal"], 72, 780, "Helvetica-Bold", 22)
        column(canvas, ["What it is"], 72, 745, "Helvetica-Bold", 14)
        y = column(canvas, wrap(WITHDRAWAL, 450), 72, 725)
        column(canvas, ["How long it lasts"], 72, y - 8, "Helvetica-Bold")
        y = column(canvas, wrap(MEDICINES, 450), 72, y - 22)
        column(canvas, ["Note."], 72, y - 10, "Helvetica-Bold")
        column(canvas, ["These words run on in the line and are no heading."], 104, y - 10)
        column(canvas, ["Treatment"], 72, y - 40, "Helvetica-Bold", 14)
        column(canvas, wrap(MEDICINES, 450), 72, y - 60)

    extraction = read(draw)

    headings = [(b.level, extraction.text[b.start : b.end]) for b in extraction.blocks if b.kind is BlockKind.HEADING]
    assert headings == [(1, "Opioid withdrawal"), (2, "What it is"), (3, "How long it lasts"), (2, "Treatment")]
    assert "Note. These words run on in the line and are no heading." in texts(extraction, BlockKind.PARAGRAPH)
    assert extraction.blocks[-1].heading_path == ("Opioid withdrawal", "Treatment")


def test_a_heading_of_two_lines_is_one() -> None:
    """This ensures that a heading that wraps in a narrow column is not two."""

    def draw(canvas: Canvas) -> None:
        column(canvas, ["What did the study find about", "overdose?"], 72, 780, "Helvetica-Bold", 14, lead=18)
        column(canvas, wrap(WITHDRAWAL, 220), 72, 735)

    assert texts(read(draw)) == ["What did the study find about overdose?", WITHDRAWAL]


def test_first_line_indents_part_paragraphs() -> None:
    """This ensures that paragraphs without space between them are told apart by their indent."""

    def draw(canvas: Canvas) -> None:
        y = 760.0
        for text in (WITHDRAWAL, MEDICINES):
            first, *rest = wrap("xxxx " + text, 450)
            column(canvas, [first[5:]], 94, y)
            y = column(canvas, rest, 72, y - 12)

    assert texts(read(draw)) == [WITHDRAWAL, MEDICINES]
