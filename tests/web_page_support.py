"""Reads web pages for tests, and shows what became of them. No file."""

from __future__ import annotations

from ingest.limits import Limits
from ingest.model import Extraction
from ingest.readers.web_page import read_web_page

LIMITS = Limits()


def read(html: str, limits: Limits = LIMITS) -> Extraction:
    """Return what the reader makes of a page."""
    return read_web_page(html.encode("utf-8"), limits, "page.html")


def shown(extraction: Extraction) -> list[tuple[str, str]]:
    """Return (kind, text) of the content blocks."""
    return [(b.kind.value, extraction.text[b.start : b.end]) for b in extraction.blocks if not b.furniture]


def texts(html: str) -> list[str]:
    """Return the text of each content block."""
    return [text for _, text in shown(read(html))]


def rules(html: str) -> dict[str, str]:
    """Return the furniture rule of every block by its text."""
    extraction = read(html)
    return {extraction.text[b.start : b.end]: b.furniture for b in extraction.blocks}


PROSE = "<p>" + "Withdrawal begins some hours after the last dose and passes within days. " * 12 + "</p>"
