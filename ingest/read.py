"""
One file of a library to one Document, step by step. Opens nothing itself and knows no format.

bytes -> reader -> furniture -> metadata -> Document
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from ingest.assemble import assemble_document
from ingest.errors import NoTextLayer
from ingest.furniture import mark_furniture
from ingest.library import Library, SourceFile
from ingest.limits import Limits
from ingest.metadata import check_fields, merge_metadata
from ingest.model import Block, BlockKind, Document, Extraction, Source
from ingest.readers import reader_for

MAX_TITLE_CHARS = 200
# Begins the warning of a document that names no title.
NO_TITLE = "it has no title"


def read_document(library: Library, file: SourceFile, limits: Limits | None = None) -> Document:
    """
    Return the document of one file.

    Args:
        limits: caps for the reader; None takes the library's.

    Raises:
        SourceError: the file can't become a document; the reason and the remedy are in it.
    """
    return document_of(library, file, library.read_bytes(file), limits)


def document_of(library: Library, file: SourceFile, data: bytes, limits: Limits | None = None) -> Document:
    """
    Return the document of one file whose bytes were read already.

    It depends on nothing but `reading_inputs`, the bytes, and the code of this package and its libraries.

    Raises:
        SourceError: as `read_document`.
    """
    source = Source(path=file.path, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    reader, read = reader_for(file.suffix, file.path)
    extraction = read(data, limits or library.limits, file.path)
    blocks = mark_furniture(extraction.text, extraction.blocks)
    if not any(block.is_quotable for block in blocks):
        raise NoTextLayer(
            "there is nothing to quote in it: " + _what_there_is(extraction, blocks),
            where=file.path,
            fix="put text into it, or move it out of the corpus",
        )
    own, problems = check_fields(extraction.metadata)
    defaults, overrides = _library_layers(library, file)
    metadata = merge_metadata(defaults, own, overrides)
    warnings = [*extraction.warnings, *(f"the file's own {p}; the field is ignored" for p in problems)]
    has_own_title = bool(metadata.title)
    if not metadata.title:
        title, origin = fallback_title(extraction.text, blocks, file.path)
        metadata = replace(metadata, title=title)
        warnings.append(f"{NO_TITLE}; {origin} is used: {title}")
        has_own_title = opens_with_heading(blocks)
    document = assemble_document(source, reader, metadata, replace(extraction, warnings=tuple(warnings)), blocks)
    return replace(document, has_own_title=has_own_title)


def reading_inputs(library: Library, file: SourceFile) -> str:
    """
    Return all that the document of a file depends on besides its bytes, as one text that is equal when they are.

    Raises:
        UnsupportedSource: no reader knows the file's ending.
    """
    reader, _ = reader_for(file.suffix, file.path)
    layers = [
        sorted((name, repr(value)) for name, value in fields.items()) for fields in _library_layers(library, file)
    ]
    return json.dumps([file.path, reader, repr(library.limits), layers])


def _library_layers(library: Library, file: SourceFile) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return library.defaults, library.fields_of(file.path)


def opens_with_heading(blocks: Sequence[Block]) -> bool:
    """Tell whether a top heading stands before everything that can be quoted, as a title does."""
    first = next((b for b in blocks if b.is_quotable or (b.kind is BlockKind.HEADING and not b.furniture)), None)
    return first is not None and first.kind is BlockKind.HEADING and first.level == 1


def fallback_title(text: str, blocks: Sequence[Block], path: str) -> tuple[str, str]:
    """Return a title for a document that names none, and where it comes from: first heading, else file name."""
    for block in blocks:
        if block.kind is BlockKind.HEADING and not block.furniture:
            heading = " ".join(text[block.start : block.end].split())[:MAX_TITLE_CHARS]
            return heading, "its first heading"
    stem = PurePosixPath(path).stem
    return " ".join(stem.replace("_", " ").replace("-", " ").split()) or stem, "its file name"


def _what_there_is(extraction: Extraction, blocks: Sequence[Block]) -> str:
    if not extraction.text.strip():
        found = "it is empty"
    elif blocks:
        rules = sorted({block.furniture for block in blocks if block.furniture})
        found = f"only headings and page furniture ({', '.join(rules)})" if rules else "only headings"
    else:
        found = "it holds no letter or digit"
    return "; ".join([found, *extraction.warnings[:3]])
