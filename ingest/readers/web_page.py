"""The reader of HTML pages. Decoding, parsing, furniture, metadata each have their module; here they are joined."""

from __future__ import annotations

import re

from ingest.assemble import TextBuilder
from ingest.errors import NoTextLayer, SourceTooLarge
from ingest.limits import Limits
from ingest.model import Extraction
from ingest.readers.deadline import Deadline
from ingest.readers.decode import decode_bytes
from ingest.readers.markup import PageWalker
from ingest.readers.page_furniture import HIDDEN
from ingest.readers.page_metadata import read_page_metadata
from ingest.readers.tree import parse_html, parse_xhtml, xml_charset

_DECLARATION_BYTES = 4_096  # HTML standard: the first 1,024; pages with long head comments exceed it
_META_CHARSET = re.compile(rb"<meta[^>]*?[\s\"';]charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_FULL_XHTML = re.compile(r"\s*<\?xml\s|\s*(?:<!DOCTYPE[^>]*>\s*)?<html[^>]+xmlns\s*=", re.IGNORECASE)


def read_web_page(data: bytes, limits: Limits, where: str) -> Extraction:
    """
    Return the text, blocks and metadata of an HTML page.

    Args:
        data: the file's bytes, in any charset.
        limits: `max_bytes`, `max_text_chars`, `max_depth` and `max_seconds` are used.
        where: names the file in errors.

    Raises:
        MalformedSource: the bytes are no text.
        NoTextLayer: the page has no text.
        SourceTooLarge: over a cap.
    """
    if len(data) > limits.max_bytes:
        raise SourceTooLarge(
            f"has {len(data)} bytes, the cap is {limits.max_bytes}", where=where, fix="split the page, or raise the cap"
        )
    deadline = Deadline(limits.max_seconds, where)
    decoded = decode_bytes(data, where, declared_charset(data))
    if _FULL_XHTML.match(decoded.text[:2_000]) and "<!ENTITY" not in decoded.text:
        root, _ = parse_xhtml(decoded.text, limits, where)
    else:
        root = parse_html(decoded.text, limits, where)
    deadline.check()
    builder = TextBuilder()
    walker = PageWalker(builder, limits, deadline, where)
    walker.walk(root)
    extraction = builder.finish(read_page_metadata(root, walker.title_text))
    if not extraction.text:
        raise NoTextLayer(
            "the page has no text of its own (it may be drawn by scripts or be images alone)",
            where=where,
            fix="save the page from a browser after it has loaded, or add a text version",
        )
    return Extraction(
        text=extraction.text,
        blocks=extraction.blocks,
        repairs=extraction.repairs,
        metadata=extraction.metadata,
        warnings=_warnings(extraction, decoded.encoding if decoded.is_guess else ""),
    )


def declared_charset(data: bytes) -> str:
    """Return the charset that a page declares in its head or its XML declaration, "" if none."""
    head = re.sub(rb"<!--.*?-->", b"", data[:_DECLARATION_BYTES], flags=re.DOTALL)
    match = _META_CHARSET.search(head)
    charset = match.group(1).decode("ascii").lower() if match else ""
    # HTML standard: a page whose declaration can be read as ASCII is not UTF-16, whatever it says.
    return xml_charset(data) or ("utf-8" if charset.startswith("utf-16") else charset)


def _warnings(extraction: Extraction, guessed: str) -> tuple[str, ...]:
    warnings = [f"the charset is not declared and was guessed: {guessed}"] if guessed else []
    total = sum(block.end - block.start for block in extraction.blocks)
    hidden = sum(block.end - block.start for block in extraction.blocks if block.furniture == HIDDEN)
    if all(block.furniture for block in extraction.blocks):
        warnings.append("all text of the page is furniture (navigation, forms, hidden parts): nothing to quote")
    elif hidden > total / 2:
        warnings.append("more than half of the page's text is hidden until a script shows it, and is not quoted")
    return tuple(warnings)
