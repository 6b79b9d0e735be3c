"""Draws PDF pages for tests and reads them. No file."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from reportlab.lib.pagesizes import A4
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

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
    """Return a PDF file with these pages."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size, invariant=1)
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def read(*pages: Draw, size: tuple[float, float] = A4) -> Extraction:
    """Return what the reader makes of these pages."""
    extraction = read_pdf(make_pdf(*pages, size=size), Limits(), "test.pdf")
    assert [p.page for p in extraction.page_starts] == list(range(1, len(pages) + 1))
    return extraction


def texts(extraction: Extraction, kind: BlockKind | None = None) -> list[str]:
    """Return the text of each content block, of one kind if asked."""
    return [
        extraction.text[b.start : b.end]
        for b in extraction.blocks
        if not b.furniture and (kind is None or b.kind is kind)
    ]


def furniture(extraction: Extraction) -> list[tuple[str, str]]:
    """Return text and rule of each furniture block."""
    return [(b.furniture, extraction.text[b.start : b.end]) for b in extraction.blocks if b.furniture]


def wrap(text: str, width: float, font: str = "Helvetica", size: float = 10) -> list[str]:
    """Return the lines that a text takes in a width, in points."""
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
