"""
Which reader takes which ending. A reader turns bytes into an Extraction and opens nothing.

Every reader is a function `(data, limits, where) -> Extraction`: `where` names the file in errors; it raises
SourceError and nothing else, whatever the bytes are. Modules are imported when first needed, to keep start-up fast.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from ingest.errors import UnsupportedSource
from ingest.limits import Limits
from ingest.model import Extraction

Reader = Callable[[bytes, Limits, str], Extraction]

# ending -> (module, function, name/version). The version rises whenever the same bytes would give another text or
# other blocks: it is part of every proof, and a rebuild reads such files anew.
_READERS: dict[str, tuple[str, str, str]] = {
    ".txt": ("ingest.readers.plain", "read_plain", "plain/2"),
    ".md": ("ingest.readers.markdown", "read_markdown", "markdown/1"),
    ".markdown": ("ingest.readers.markdown", "read_markdown", "markdown/1"),
    ".html": ("ingest.readers.web_page", "read_web_page", "html/1"),
    ".htm": ("ingest.readers.web_page", "read_web_page", "html/1"),
    ".xhtml": ("ingest.readers.web_page", "read_web_page", "html/1"),
    ".pdf": ("ingest.readers.pdf", "read_pdf", "pdf/1"),
    ".docx": ("ingest.readers.word", "read_word", "docx/1"),
    ".epub": ("ingest.readers.epub", "read_epub", "epub/1"),
}


def readable_suffixes() -> tuple[str, ...]:
    """Return the endings that have a reader, sorted."""
    return tuple(sorted(_READERS))


def reader_for(suffix: str, where: str) -> tuple[str, Reader]:
    """
    Return (name/version, reader) for a file ending such as ".pdf", case ignored.

    Raises:
        UnsupportedSource: no reader knows it.
    """
    entry = _READERS.get(suffix.lower())
    if entry is None:
        raise UnsupportedSource(
            f"no reader for files ending in {suffix or '(nothing)'!s}",
            where=where,
            fix=f"convert it to one of {' '.join(readable_suffixes())}, or move it out of the corpus",
        )
    module, function, name = entry
    reader: Reader = getattr(import_module(module), function)
    return name, reader
