"""What a PDF says about itself, as far as it can be believed. Reads properties alone, never the pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date

from ingest.readers.field_values import parse_language

_FILE_NAME = re.compile(r"\.(?:docx?|pdf|rtf|odt|indd|qxd|pptx?|xlsx?|tex|dvi|txt|html?|pub|wpd|ps)$", re.I)
_PROGRAM = re.compile(r"^(?:microsoft (?:word|powerpoint|excel|publisher)|powerpoint presentation|adobe )", re.I)
_NO_TITLE = frozenset(
    ("untitled", "untitled document", "(anonymous)", "anonymous", "title", "document", "unknown", "none", "slide 1",
     "layout 1", "print", "template", "(unspecified)", "unspecified")
)  # fmt: skip
_NO_AUTHOR = frozenset(
    ("user", "admin", "administrator", "owner", "author", "unknown", "anonymous", "(anonymous)", "none", "default",
     "office", "guest", "pc", "windows user", "microsoft office user", "(unspecified)", "unspecified", "test")
)  # fmt: skip
_DATE = re.compile(r"^(?:D:)?(\d{4})-?(\d{2})?-?(\d{2})?")
_FIRST_YEAR = 1993  # PDF 1.0
_LAST_YEAR = 2100  # beyond it the clock that wrote the date was wrong; no look at today's clock: a build is repeatable


def read_metadata(info: Mapping[str, object], language: object, clean: Callable[[str], str]) -> dict[str, object]:
    """
    Return what a file's properties say, by field name of Metadata; what is not plausible is left out.

    Args:
        info: the document information dictionary, resolved.
        language: the catalogue's /Lang.
        clean: drops from a string what must never enter a document.
    """
    found: dict[str, object] = {}
    title = _plain(info.get("/Title"), clean)
    if is_sane_title(title):
        found["title"] = title
    authors = split_authors(_plain(info.get("/Author"), clean))
    if authors:
        found["authors"] = authors
    published = parse_date(_plain(info.get("/CreationDate"), clean))
    if published is not None:
        found["published"] = published
    code = parse_language(_plain(language, clean))
    if code:
        found["language"] = code
    return found


def _plain(value: object, clean: Callable[[str], str]) -> str:
    text = " ".join(clean(value).split()) if isinstance(value, str) else ""
    return "" if "\ufffd" in text else text


def is_sane_title(title: str) -> bool:
    """Tell whether a title property is a title and no file name, program name or placeholder."""
    return (
        3 <= len(title) <= 300
        and any(c.isalpha() for c in title)
        and not _FILE_NAME.search(title)
        and not _PROGRAM.match(title)
        and title.casefold() not in _NO_TITLE
        and not re.fullmatch(r"\S*[\\/_]\S*", title)
    )


def split_authors(text: str) -> tuple[str, ...]:
    """
    Return the names in an author property.

    A comma parts names only where every part has two words: "Smith, John" is one name.
    """
    parts = [part.strip() for part in re.split(r";|\s+(?:and|und|y|et|&)\s+", text)]
    if len(parts) == 1 and "," in text:
        by_comma = [part.strip() for part in text.split(",")]
        if all(len(part.split()) >= 2 for part in by_comma):
            parts = by_comma
    return tuple(
        part
        for part in parts
        if 2 <= len(part) <= 120 and part.casefold() not in _NO_AUTHOR and any(c.isalpha() for c in part)
    )


def parse_date(text: str) -> date | None:
    """Return the day of a PDF date (D:YYYYMMDDHHmmSS…), None if it has no day or can't be true."""
    match = _DATE.match(text)
    if match is None or not match.group(2) or not match.group(3):
        return None
    year, month, day = (int(part) for part in match.groups())
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    try:
        return date(year, month, day)
    except ValueError:  # the 31st of February
        return None
