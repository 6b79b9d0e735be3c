"""
The reader of EPUB books: container, package and spine by our own lines. How a chapter is read stands in `markup`.

Source: EPUB 3.3 (W3C), sections 4 (container), 5 (package document); EPUB 2 by the same parts.

Headings run on from chapter to chapter: books are cut into files in the middle of a chapter as often as at its end.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote

from lxml import etree

from ingest.assemble import TextBuilder
from ingest.errors import MalformedSource, NoTextLayer, ProtectedSource
from ingest.limits import Limits
from ingest.model import Extraction
from ingest.readers.archive import Archive, describe_members, open_archive
from ingest.readers.deadline import Deadline
from ingest.readers.field_values import (
    MAX_AUTHORS,
    clean_value,
    first_date,
    parse_language,
    parse_license,
    parse_url,
    unique,
    valid_fields,
)
from ingest.readers.markup import PageWalker
from ingest.readers.tree import decode_xml, local_name, parse_xhtml, parse_xml, text_of

_KIND = "an EPUB book"
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
# These garble fonts alone (EPUB 3.3, section 4.2.6.3.1; Adobe's older one); the text can be read.
_FONT_ALGORITHMS = frozenset({"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#rc"})
_CHAPTER_TYPES = frozenset({"application/xhtml+xml", "text/html", "text/x-oeb1-document", "application/xml"})
_OPF = "{http://www.idpf.org/2007/opf}"


@dataclass(frozen=True, slots=True)
class _Item:
    """One file that the package lists."""

    path: str
    media_type: str
    is_navigation: bool


def read_epub(data: bytes, limits: Limits, where: str) -> Extraction:
    """
    Return the text, blocks and metadata of a book, chapters in the order of its spine.

    `element_id` is the chapter's path in the archive, with `#id` where there is one.

    Args:
        data: the file's bytes.
        limits: all but `max_pages` are used.
        where: names the file in errors.

    Raises:
        MalformedSource: not an EPUB, damaged, or with entities declared in it.
        ProtectedSource: its chapters are encrypted.
        NoTextLayer: its chapters have no text.
        SourceTooLarge: over a cap.
    """
    deadline = Deadline(limits.max_seconds, where)
    archive = open_archive(data, limits, where, _KIND)
    package_path = _package_path(archive, limits, where)
    package = _parse_part(archive, package_path, limits, where)
    items, spine = _read_spine(package, package_path)
    _refuse_protected(archive, limits, where)
    if not spine:
        raise MalformedSource("the book's package lists no chapters", where=where, fix="export the book again")
    builder = TextBuilder()
    walker = PageWalker(builder, limits, deadline, where, is_content=True)
    warnings: list[str] = []
    for item_id in spine:
        deadline.check()
        item = items.get(item_id)
        if item is None:
            warnings.append(f"the spine names a chapter {clean_value(item_id)!r} that the package does not list")
            continue
        warnings += _read_chapter(archive, item, walker, limits, where)
    extraction = builder.finish(_metadata(package), warnings)
    if not extraction.text:
        raise NoTextLayer(
            f"none of its {len(spine)} chapters has text" + (f" ({warnings[0]})" if warnings else ""),
            where=where,
            fix="the pages may be images: get an edition with text",
        )
    return extraction


def _parse_part(archive: Archive, name: str, limits: Limits, where: str) -> etree._Element:
    place = f"{where}: {name}"
    return parse_xml(decode_xml(archive.read(name), place), limits, place)


def _package_path(archive: Archive, limits: Limits, where: str) -> str:
    if _CONTAINER not in archive:
        raise MalformedSource(
            f"is not {_KIND} but {describe_members(archive.names)}: it has no {_CONTAINER}",
            where=where,
            fix="give it the ending of what it is, or export it again",
        )
    root = _parse_part(archive, _CONTAINER, limits, where)
    for element in root.iter():
        if local_name(element) == "rootfile" and element.get("full-path"):
            path = element.get("full-path", "")
            if path not in archive:
                raise MalformedSource(
                    f"names {clean_value(path)!r} as its package file, which is not in the archive",
                    where=where,
                    fix="export the book again",
                )
            return path
    raise MalformedSource(f"{_CONTAINER} names no package file", where=where, fix="export the book again")


def _read_spine(package: etree._Element, package_path: str) -> tuple[dict[str, _Item], list[str]]:
    """Return the listed files by id, and the ids of the chapters in reading order, each once."""
    items: dict[str, _Item] = {}
    spine: dict[str, None] = {}
    contents: set[str] = set()
    for element in package.iter():
        tag = local_name(element)
        if tag == "item" and element.get("id"):
            path = _resolve(package_path, element.get("href", ""))
            is_navigation = "nav" in element.get("properties", "").split()
            items[element.get("id", "")] = _Item(path, element.get("media-type", "").lower(), is_navigation)
        elif tag == "itemref" and element.get("idref"):
            spine[element.get("idref", "")] = None
        elif tag == "reference" and element.get("type", "").lower() == "toc":  # EPUB 2
            contents.add(_resolve(package_path, element.get("href", "")))
    marked = {
        key: _Item(item.path, item.media_type, item.is_navigation or item.path in contents)
        for key, item in items.items()
    }
    return marked, list(spine)


def _resolve(base: str, href: str) -> str:
    """Return a member's name for a reference in another member, "" if it leads elsewhere."""
    path = unquote(href.partition("#")[0])
    if not path or path.startswith("/") or re.match(r"[a-z][a-z0-9+.-]*:", path, re.IGNORECASE):
        return ""
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(base), path))
    return "" if joined.startswith("..") else joined


def _read_chapter(archive: Archive, item: _Item, walker: PageWalker, limits: Limits, where: str) -> list[str]:
    """Add a chapter's blocks, and return what the build report should say about it."""
    if item.path not in archive:
        return [f"chapter {clean_value(item.path)!r} is missing from the archive"]
    if item.media_type and item.media_type not in _CHAPTER_TYPES:
        return [f"chapter {clean_value(item.path)!r} is {clean_value(item.media_type)} and has no text to read"]
    place = f"{where}: {item.path}"
    raw = archive.read(item.path)
    if not raw.strip():
        return [f"chapter {clean_value(item.path)!r} is empty"]
    try:
        root, is_well_formed = parse_xhtml(decode_xml(raw, place), limits, place)
    except NoTextLayer:
        return [f"chapter {clean_value(item.path)!r} has no text"]
    walker.walk(root, address=item.path, furniture="contents_list" if item.is_navigation else "")
    return [] if is_well_formed else [f"chapter {clean_value(item.path)!r} is not well-formed; it was read as HTML"]


def _refuse_protected(archive: Archive, limits: Limits, where: str) -> None:
    if _ENCRYPTION not in archive:
        return
    root = _parse_part(archive, _ENCRYPTION, limits, where)
    for data in root.iter():
        if local_name(data) not in ("encrypteddata", "encryptedkey"):
            continue
        methods = [e.get("Algorithm", "").lower() for e in data.iter() if local_name(e) == "encryptionmethod"]
        targets = [e.get("URI", "") for e in data.iter() if local_name(e) == "cipherreference"]
        if local_name(data) == "encrypteddata" and methods and methods[0] in _FONT_ALGORITHMS:
            continue
        raise ProtectedSource(
            f"the book is protected (DRM): {clean_value(targets[0]) if targets else 'a part'} is encrypted",
            where=where,
            fix="get an edition without copy protection from its publisher",
        )


def _metadata(package: etree._Element) -> dict[str, object]:
    """Return what the package says; a creator whose role is given and isn't author is none."""
    values: dict[str, list[etree._Element]] = {}
    roles: dict[str, str] = {}
    for element in package.iter():
        tag = local_name(element)
        if str(element.tag).startswith("{http://purl.org/dc/"):
            values.setdefault(tag, []).append(element)
        elif tag == "meta" and element.get("property") == "role":
            roles[element.get("refines", "").lstrip("#")] = text_of(element).strip()
    authors = []
    for creator in values.get("creator", []):
        role = creator.get(f"{_OPF}role") or roles.get(creator.get("id", ""), "aut")
        authors += [clean_value(text_of(creator))] if role == "aut" else []
    days = [e for e in values.get("date", []) if e.get(f"{_OPF}event", "publication").endswith("publication")]

    def texts(name: str) -> list[str]:
        return [text for text in (clean_value(text_of(e)) for e in values.get(name, [])) if text]

    return valid_fields(
        {
            "title": next(iter(texts("title")), ""),
            "authors": unique(authors)[:MAX_AUTHORS],
            "publisher": next(iter(texts("publisher")), ""),
            "published": first_date(text_of(e) for e in days),
            "language": next(filter(None, map(parse_language, texts("language"))), ""),
            "license": next(filter(None, map(parse_license, texts("rights"))), ""),
            "url": next(filter(None, map(parse_url, texts("identifier"))), ""),
        }
    )
