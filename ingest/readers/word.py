"""
The reader of Word documents (docx), by way of mammoth's HTML. The only module that imports mammoth.

What is decided here:

* Tracked changes are read as accepted: insertions and moved text stay, deletions go; the report says so.
* Reviewers' comments are not part of the document: left out, and counted in the report.
* Footnotes and endnotes stand at the end, in their order, with "[1]" where they are referred to, as Word itself
  writes them into plain text.
* Headers and footers of pages are kept as furniture, headers at the beginning, footers at the end.
* Headings come from styles: by name, and by outline level for styles of one's own. A title is a heading above all.
* Hidden text is furniture, or a repair within a line. Text boxes follow the paragraph that anchors them.
* `element_id` is empty: no address leads into a docx.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable
from xml.parsers.expat import ExpatError

from lxml import etree

from ingest.assemble import Piece, TextBuilder
from ingest.errors import MalformedSource, NoTextLayer, ProtectedSource, SourceTooLarge
from ingest.limits import Limits
from ingest.model import BlockKind, Extraction
from ingest.readers.archive import Archive, open_archive
from ingest.readers.cleaning import Run, clean_runs
from ingest.readers.deadline import Deadline
from ingest.readers.field_values import clean_value, parse_language, valid_fields
from ingest.readers.markup import PageWalker
from ingest.readers.tree import decode_xml, local_name, parse_html, parse_xml, text_of
from ingest.readers.word_parts import HIDDEN_MARK, WordParts, iter_paragraphs, read_parts

_KIND = "a Word document (docx)"
_CORE_PROPERTIES = "docProps/core.xml"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
_NO_TITLE = re.compile(r"Microsoft Word - .*|Document\d*|Untitled\d*|.*\.docx?", re.IGNORECASE)
# All that mammoth was seen to raise on mutated documents.
_MAMMOTH_FAULTS = (
    *(AttributeError, IndexError, KeyError, TypeError, ValueError, OSError, NotImplementedError),
    *(ExpatError, zipfile.BadZipFile),
)
_STYLES = (
    "p[style-name='Title'] => h1:fresh",
    "p[style-name='caption'] => figcaption:fresh",
    "p[style-name='Caption'] => figcaption:fresh",
    "p[style-name^='toc '] => nav > p:fresh",
    "p[style-name^='TOC '] => nav > p:fresh",
    f"highlight[color='{HIDDEN_MARK}'] => span.visually-hidden",
)
_NOTE_LINK = re.compile(r"#(?:footnote|endnote)-ref-")
_NOTE_MARK = re.compile(r"#(?:footnote|endnote)-")


def read_word(data: bytes, limits: Limits, where: str) -> Extraction:
    """
    Return the text, blocks and metadata of a Word document.

    Args:
        data: the file's bytes.
        limits: all but `max_pages` are used; nesting is capped at `word_parts.MAX_DEPTH` as well.
        where: names the file in errors.

    Raises:
        MalformedSource: not a docx, damaged, or with a document type in its XML.
        ProtectedSource: it needs a password.
        NoTextLayer: it has no text.
        SourceTooLarge: over a cap.
    """
    deadline = Deadline(limits.max_seconds, where)
    if data.startswith(_OLE):
        raise _old_office_file(data, where)
    archive = open_archive(data, limits, where, _KIND)
    parts = read_parts(archive, limits, where)
    deadline.check()
    root = parse_html(_convert(parts, where), limits, where)
    deadline.check()
    n_lost = parts.n_letters - _tidy_notes(root)
    builder = TextBuilder()
    _add_running(builder, parts.headers, "running_header")
    walker = PageWalker(builder, limits, deadline, where, is_content=True, keeps_ids=False)
    walker.walk(root)
    _add_running(builder, parts.footers, "running_footer")
    extraction = builder.finish(_metadata(archive, limits, where), _warnings(parts, n_lost))
    if not extraction.text:
        raise NoTextLayer(
            "the document has no text (it may hold images alone)", where=where, fix="add a version with text"
        )
    return extraction


def _old_office_file(data: bytes, where: str) -> MalformedSource | ProtectedSource:
    if _ENCRYPTED_STREAM in data:
        return ProtectedSource("the document needs a password", where=where, fix="save a copy without a password")
    return MalformedSource(
        f"is not {_KIND} but an old Office file (doc, xls, ppt)", where=where, fix="open it and save it as .docx"
    )


def _convert(parts: WordParts, where: str) -> str:
    """Return mammoth's HTML."""
    import mammoth

    own = [f"p.{name} => h{level}:fresh" for name, level in parts.heading_styles.items() if _is_plain(name)]
    try:
        result = mammoth.convert_to_html(
            io.BytesIO(parts.packed),
            style_map="\n".join([*_STYLES, *own]),
            include_embedded_style_map=False,
            external_file_access=False,
            convert_image=_image_to_alt,
        )
    except RecursionError as error:
        raise SourceTooLarge(
            "nests its elements too deep to be read",
            where=where,
            fix="save the document again with fewer nested tables",
        ) from error
    except _MAMMOTH_FAULTS as error:
        raise MalformedSource(
            f"is broken inside ({type(error).__name__} while reading it)",
            where=where,
            fix="open it in Word or LibreOffice and save it again",
        ) from error
    return f"<html><body>{result.value}</body></html>"


def _is_plain(style_id: str) -> bool:
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", style_id) is not None


def _image_to_alt(image: object) -> list[object]:
    """Return an image element with its alternative text alone; the image is never opened."""
    from mammoth import html

    return [html.element("img", {"alt": getattr(image, "alt_text", "") or ""})]


def _tidy_notes(root: etree._Element) -> int:
    """Take out mammoth's arrows from notes back to the text; return the letters that mammoth read."""
    n_marks = 0
    for link in root.iter("a"):
        if link.text == "\u2191" and _NOTE_LINK.match(link.get("href", "")):
            link.text = None
        elif _NOTE_MARK.match(link.get("href", "")) and re.fullmatch(r"\[\d+\]", link.text or ""):
            n_marks += len(link.text or "") - 2
    return len(re.findall(r"[^\W_]", text_of(root))) - n_marks


def _add_running(builder: TextBuilder, roots: Iterable[etree._Element], furniture: str) -> None:
    seen: set[str] = set()
    for root in roots:
        for paragraph in iter_paragraphs(root):
            cleaned = clean_runs([Run(paragraph)])
            if cleaned.text not in seen:
                seen.add(cleaned.text)
                builder.add(Piece(cleaned.text, BlockKind.PARAGRAPH, furniture=furniture, repairs=cleaned.repairs))


def _metadata(archive: Archive, limits: Limits, where: str) -> dict[str, object]:
    """Return the core properties; dates of writing and saving are no dates of publication and not taken."""
    if _CORE_PROPERTIES not in archive:
        return {}
    place = f"{where}: {_CORE_PROPERTIES}"
    root = parse_xml(decode_xml(archive.read(_CORE_PROPERTIES), place), limits, place, allow_doctype=False)
    values = {local_name(element): clean_value(text_of(element)) for element in root}
    title = values.get("title", "")
    return valid_fields(
        {
            "title": "" if _NO_TITLE.fullmatch(title) else title,
            "authors": [name for name in re.split(r"\s*;\s*", values.get("creator", "")) if name],
            "language": parse_language(values.get("language", "")),
            "tags": [tag for tag in re.split(r"\s*[,;]\s*", values.get("keywords", "")) if tag],
        }
    )


def _warnings(parts: WordParts, n_lost: int) -> list[str]:
    warnings = []
    if parts.n_changes:
        warnings.append(
            f"{parts.n_changes} tracked changes: read as if all were accepted; accept or reject them in the file"
        )
    if parts.n_comments:
        warnings.append(f"{parts.n_comments} reviewers' comments are not part of the text")
    if n_lost > 0:
        warnings.append(f"{n_lost} letters stand in places that could not be read (unusual shapes or fields)")
    return warnings
