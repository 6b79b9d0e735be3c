"""
Reading order and blocks of PDFs as people make them: columns, tables, headings, lists, running headers.

Over 400 lines in one file because all of it shares the helpers that draw pages.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence

import pytest
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, Table

from ingest.assemble import undo_repairs
from ingest.limits import Limits
from ingest.model import BlockKind, Extraction
from ingest.readers.pdf import read_pdf

WITHDRAWAL = (
    "Withdrawal from short-acting opioids begins eight to twelve hours after the last dose. The first signs are "
    "yawning, sweating and a running nose. Muscle aches and cramps follow on the second day and are at their worst by "
    "the third. Most people sleep badly for a week. Nobody should stop alone after heavy use, because relapse after "
    "detox is dangerous. Tolerance falls within days and a usual dose can kill."
)
MEDICINES = (
    "Methadone is a long-acting medicine taken once a day under supervision. It keeps withdrawal away and lets people "
    "rebuild their lives. Buprenorphine is a partial agonist with a ceiling on its effects. Naltrexone blocks the "
    "receptors and is only started after detox. Each suits different people at different times and none of them is a "
    "failure. Ask a clinic which one is right for you."
)
Draw = Callable[[Canvas], object]


def make_pdf(*pages: Draw, size: tuple[float, float] = A4) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size, invariant=1)
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def read(*pages: Draw, size: tuple[float, float] = A4) -> Extraction:
    extraction = read_pdf(make_pdf(*pages, size=size), Limits(), "test.pdf")
    assert [p.page for p in extraction.page_starts] == list(range(1, len(pages) + 1))
    return extraction


def texts(extraction: Extraction, kind: BlockKind | None = None) -> list[str]:
    return [
        extraction.text[b.start : b.end]
        for b in extraction.blocks
        if not b.furniture and (kind is None or b.kind is kind)
    ]


def furniture(extraction: Extraction) -> list[tuple[str, str]]:
    return [(b.furniture, extraction.text[b.start : b.end]) for b in extraction.blocks if b.furniture]


def wrap(text: str, width: float, font: str = "Helvetica", size: float = 10) -> list[str]:
    lines, current = [], ""
    for word in text.split():
        longer = f"{current} {word}".strip()
        if stringWidth(longer, font, size) > width:
            lines.append(current)
            current = word
        else:
            current = longer
    return [*lines, current]


def column(
    canvas: Canvas,
    lines: Sequence[str],
    x: float,
    y: float,
    font: str = "Helvetica",
    size: float = 10,
    lead: float = 12,
) -> float:
    canvas.setFont(font, size)
    for line in lines:
        canvas.drawString(x, y, line)
        y -= lead
    return y


def interleaved(canvas: Canvas, columns: Sequence[tuple[float, Sequence[str]]], y: float = 750) -> float:
    canvas.setFont("Helvetica", 10)
    for row in range(max(len(lines) for _, lines in columns)):
        for x, lines in columns:
            if row < len(lines):
                canvas.drawString(x, y, lines[row])
        y -= 12
    return y


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


def running_pages(n_pages: int, chapter: Callable[[int], str], lines_per_page: int = 20) -> list[Draw]:
    words = " ".join(f"Sentence {i} tells people about step number {i} of {n_pages * 9}." for i in range(n_pages * 40))
    lines = wrap(words, 450)

    def page(number: int) -> Draw:
        def draw(canvas: Canvas) -> None:
            canvas.setFont("Helvetica", 9)
            canvas.drawString(72, 805, "Recovery handbook")
            canvas.drawRightString(520, 805, chapter(number))
            canvas.drawCentredString(300, 30, f"Page {number} of {n_pages}")
            column(canvas, lines[(number - 1) * lines_per_page : number * lines_per_page], 72, 760)

        return draw

    return [page(number) for number in range(1, n_pages + 1)]


def test_a_sentence_over_a_page_break_is_one_sentence_with_two_pages() -> None:
    """This ensures that header and footer leave the sentence, stay in its repair, and the page begins inside it."""
    extraction = read(*running_pages(2, lambda n: "Chapter 1"))

    lines = texts(extraction)
    assert len(lines) == 1
    assert "Recovery" not in lines[0]
    assert "Page" not in lines[0]
    broken = next(r for r in extraction.repairs if "\n\n" in r.original)
    assert broken.original == "\n\nPage 1 of 2\n\nRecovery handbook Chapter 1\n\n"
    assert broken.rule == "line_join+page_number+running_header"
    assert extraction.page_starts[1].offset == broken.end
    assert furniture(extraction) == [
        ("running_header", "Recovery handbook Chapter 1"),
        ("page_number", "Page 2 of 2"),
    ]


def test_headers_that_name_the_chapter_are_furniture_too() -> None:
    """This ensures that a running header whose words change from page to page is known by its place."""
    extraction = read(*running_pages(6, lambda n: f"Chapter {'abcdef'[n - 1]}"))

    assert not any("Recovery handbook" in text for text in texts(extraction))


def test_text_that_recurs_at_the_top_of_pages_is_not_furniture() -> None:
    """This ensures that body lines are kept although they stand at one place on every page."""

    def draw(canvas: Canvas) -> None:
        column(canvas, wrap(WITHDRAWAL, 450), 72, 800)

    extraction = read(draw, draw, draw)

    assert texts(extraction) == [WITHDRAWAL] * 3


def test_a_footnote_does_not_cut_the_sentence_above_it() -> None:
    """This ensures that a note at the foot of a page comes before the paragraph that runs on, still on its page."""
    lines = wrap(WITHDRAWAL, 450)
    note = "1 A note on the source of this figure, which is set in small type."

    def first(canvas: Canvas) -> None:
        column(canvas, wrap(MEDICINES, 450), 72, 760)
        column(canvas, lines[:2], 72, 600)
        column(canvas, [note], 72, 60, size=7)

    def second(canvas: Canvas) -> None:
        column(canvas, lines[2:], 72, 760)

    extraction = read(first, second)

    assert texts(extraction) == [MEDICINES, note, WITHDRAWAL]
    assert extraction.text[extraction.page_starts[1].offset :].startswith(lines[2])


def test_a_paragraph_runs_on_in_the_next_column() -> None:
    """This ensures that a sentence over a column break is one sentence."""
    lines = wrap(WITHDRAWAL + " " + MEDICINES, 220)
    half = len(lines) // 2

    assert texts(read(lambda c: interleaved(c, [(60, lines[:half]), (310, lines[half:])]))) == [
        WITHDRAWAL + " " + MEDICINES
    ]


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotated_pages_are_read_as_displayed(turn: int) -> None:
    """This ensures that a page's /Rotate does not change the order of its lines."""

    def draw(canvas: Canvas) -> None:
        width, height = A4
        canvas.setPageRotation(turn)
        if turn == 90:
            canvas.translate(width, 0)
        elif turn == 180:
            canvas.translate(width, height)
        else:
            canvas.translate(0, height)
        canvas.rotate(turn)
        column(canvas, wrap(WITHDRAWAL, 400), 60, 500)

    assert texts(read(draw)) == [WITHDRAWAL]


def test_landscape_pages_and_sideways_text() -> None:
    """This ensures that a landscape page is read, and a note printed sideways comes after it and not inside it."""

    def draw(canvas: Canvas) -> None:
        column(canvas, wrap(WITHDRAWAL, 600), 60, 500)
        canvas.translate(820, 100)
        canvas.rotate(90)
        column(canvas, ["Printed in the margin of this page"], 0, 0, size=8)

    assert texts(read(draw, size=landscape(A4))) == [WITHDRAWAL, "Printed in the margin of this page"]


def test_a_watermark_is_furniture() -> None:
    """This ensures that a word printed aslant over the page never enters a sentence."""

    def draw(canvas: Canvas) -> None:
        column(canvas, wrap(WITHDRAWAL, 450), 72, 760)
        canvas.translate(300, 400)
        canvas.rotate(45)
        column(canvas, ["DRAFT"], 0, 0, "Helvetica-Bold", 60)

    extraction = read(draw)

    assert texts(extraction) == [WITHDRAWAL]
    assert furniture(extraction) == [("watermark", "DRAFT")]


def test_entries_of_a_table_of_contents_are_furniture() -> None:
    """This ensures that lines of leader dots are never quoted."""

    def draw(canvas: Canvas) -> None:
        column(canvas, ["Withdrawal" + "." * 80 + " 4", "Treatment" + "." * 80 + " 9"], 72, 760)
        column(canvas, wrap(MEDICINES, 450), 72, 700)

    extraction = read(draw)

    assert texts(extraction) == [MEDICINES]
    assert [rule for rule, _ in furniture(extraction)] == ["contents_entry"] * 2


def test_the_same_bytes_give_the_same_document() -> None:
    """This ensures that nothing depends on memory addresses or hash seeds."""
    data = make_pdf(*running_pages(3, lambda n: "Chapter 1"))

    assert read_pdf(data, Limits(), "a.pdf") == read_pdf(data, Limits(), "a.pdf")
