"""Pages of PDFs as wholes: running headers, page breaks, footnotes, turned pages, watermarks, contents."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pdf_support import MEDICINES, WITHDRAWAL, Draw, column, furniture, interleaved, make_pdf, read, texts, wrap
from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfgen.canvas import Canvas

from ingest.limits import Limits
from ingest.readers.pdf import read_pdf


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
