"""What an editor should know about the pages of one PDF, worded once per kind with all its pages. Pure."""

from __future__ import annotations

from collections.abc import Iterable

# kind -> what follows "page 3" and "pages 3-5".
_SENTENCES = {
    "image": ("has images and no text", "have images and no text"),
    "image_and_furniture": (
        "has images and no text but its header or footer",
        "have images and no text but their header or footer",
    ),
    "outlines": ("has drawings and no text", "have drawings and no text"),
    "recognised": (
        "has an invisible text layer, probably from text recognition: compare it with the picture",
        "have an invisible text layer, probably from text recognition: compare it with the pictures",
    ),
    "unreadable": (
        "has text that can't be read: a font does not say which characters it shows",
        "have text that can't be read: a font does not say which characters it shows",
    ),
    "some_unreadable": (
        "has a few characters that can't be read (shown as \ufffd)",
        "have a few characters that can't be read (shown as \ufffd)",
    ),
    "encoding": (
        "uses a font encoding that is not supported; characters may be wrong",
        "use a font encoding that is not supported; characters may be wrong",
    ),
    "damaged": ("is damaged inside; text may be missing", "are damaged inside; text may be missing"),
    "broken": ("is broken inside and was left out", "are broken inside and were left out"),
}


class PageNotes:
    """Collects notes while a document is read. `pictured` are the pages with images."""

    def __init__(self) -> None:
        self.pictured: set[int] = set()
        self._document: list[str] = []
        self._pages: dict[str, list[int]] = {}

    def document(self, sentence: str) -> None:
        """Note something about the whole file."""
        self._document.append(sentence)

    def page(self, number: int, kind: str) -> None:
        """Note something about one page; `kind` is a key of the table above."""
        self._pages.setdefault(kind, []).append(number)

    def sentences(self) -> tuple[str, ...]:
        """Return the warnings, those about the file first, then by first page."""
        by_page = sorted((pages[0], kind) for kind, pages in self._pages.items())
        about_pages = [
            f"{name_pages(self._pages[kind])} {_SENTENCES[kind][len(set(self._pages[kind])) > 1]}"
            for _, kind in by_page
        ]
        return (*self._document, *about_pages)


def name_pages(numbers: Iterable[int]) -> str:
    """Return "page 3", "pages 3-5" or "pages 3-5, 9" for a set of pages."""
    ordered = sorted(set(numbers))
    runs: list[list[int]] = []
    for number in ordered:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    names = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    return f"page {names}" if len(ordered) == 1 else f"pages {names}"
