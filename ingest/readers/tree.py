"""
Markup text to lxml trees, safely: no entities, no DTD, no network, nothing lost in silence. Judges no content.

libxml2 (2.14) with `huge_tree` keeps 2,047 nested elements; beyond that it drops what follows and only notes it in
the parser's log. Every parse here reads that log, and the tree's depth and size are measured against the limits.
"""

from __future__ import annotations

import re
from html.entities import html5
from xml.sax.saxutils import escape

from lxml import etree

from ingest.errors import MalformedSource, NoTextLayer, SourceTooLarge
from ingest.limits import Limits
from ingest.readers.decode import decode_bytes

# An lxml tree needs about 200 bytes an element besides its text; the longest page known to us (the HTML standard
# on one page, 13 MB) has 0.4 million.
MAX_ELEMENTS = 2_000_000

# libxml2 drops everything after </html>, and nests wrongly after </body>; browsers go on reading (HTML standard,
# "after after body"). Both end tags can be left out anywhere. What looks like one inside these is not a tag.
_END_OF_PAGE = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|<(script|style|textarea|title|xmp|iframe|noembed|noframes)\b.*?(?:</\1(?=[\s/>])|\Z)"
    r"|(</(?:html|body)(?:[\s/][^<>]*)?>)",
    re.DOTALL | re.IGNORECASE,
)
_XML_ENCODING = re.compile(rb"\s*<\?xml[^>]*?\sencoding\s*=\s*[\"']([A-Za-z0-9_.:-]{1,40})[\"']")
_PROLOG = re.compile(r"\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*)*", re.DOTALL)
_DOCTYPE = re.compile(r"<!DOCTYPE(?:[^\[>\"']|\"[^\"]*\"|'[^']*')*(\[.*?\]\s*)?>", re.DOTALL | re.IGNORECASE)
_NAMED_ENTITY = re.compile(r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|&([A-Za-z][A-Za-z0-9]*);", re.DOTALL)
_XML_ENTITIES = frozenset({"amp", "lt", "gt", "quot", "apos"})


def local_name(element: etree._Element) -> str:
    """Return the tag in lower case without its namespace; "" for comments and the like."""
    tag: object = element.tag  # a function for comments, whatever the stubs say
    if not isinstance(tag, str):
        return ""
    return tag.rpartition("}")[2].lower()


def decode_xml(data: bytes, where: str) -> str:
    """
    Return the text of an XML file in the charset that its mark or its declaration names, UTF-8 without either.

    Raises:
        MalformedSource: the bytes are no text.
    """
    return decode_bytes(data, where, xml_charset(data)).text


def xml_charset(data: bytes) -> str:
    """Return the charset that an XML declaration names, "" if none does."""
    match = _XML_ENCODING.match(data[:1_000].removeprefix(b"\xef\xbb\xbf"))
    charset = match.group(1).decode("ascii").lower() if match else ""
    # A declaration that can be read as ASCII is not in UTF-16, whatever it says.
    return "utf-8" if charset.startswith("utf-16") else charset


def parse_html(text: str, limits: Limits, where: str) -> etree._Element:
    """
    Return the root of an HTML page, repaired as libxml2 does, comments dropped.

    Args:
        text: decoded; may hold anything, also no tag at all.
        limits: `max_depth` is used.
        where: names the file in errors.

    Raises:
        NoTextLayer: no element comes out of it.
        SourceTooLarge: nested deeper than `limits.max_depth`, or more than MAX_ELEMENTS elements.
    """
    _check_size(text, where)
    text = _END_OF_PAGE.sub(lambda match: "" if match.group(2) else match.group(), text)
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, no_network=True, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError as error:
        _refuse_depth(parser, limits, where)
        raise NoTextLayer(
            "holds no element and no text", where=where, fix="save the page again, or move it out of the corpus"
        ) from error
    _refuse_depth(parser, limits, where)
    if root is None:
        raise NoTextLayer(
            "holds no element and no text", where=where, fix="save the page again, or move it out of the corpus"
        )
    check_depth(root, limits.max_depth, where)
    return root


def parse_xml(text: str, limits: Limits, where: str, *, allow_doctype: bool = True) -> etree._Element:
    """
    Return the root of a well-formed XML text.

    Args:
        text: decoded; its document type is cut off unread; HTML's named characters (&nbsp;) are known.
        limits: `max_depth` is used.
        where: names the file and the part in errors.
        allow_doctype: docx and epub's own parts have none.

    Raises:
        MalformedSource: not well-formed, or declares entities (which well-meant files never do).
        SourceTooLarge: nested deeper than `limits.max_depth`, or more than MAX_ELEMENTS elements.
    """
    try:
        return _parse_xml(text, limits, where, allow_doctype=allow_doctype)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise MalformedSource(
            f"is not well-formed XML at line {line}, column {column}", where=where, fix="export the file again"
        ) from error


def parse_xhtml(text: str, limits: Limits, where: str) -> tuple[etree._Element, bool]:
    """
    Return the root of an XHTML page and whether it is well-formed; if it is not, it is read as HTML.

    An HTML parser alone won't do: it takes some empty elements (`<a id="x"/>`) for ones that never end.

    Raises:
        MalformedSource: it declares entities.
        NoTextLayer, SourceTooLarge: see `parse_html` and `parse_xml`.
    """
    try:
        return _parse_xml(text, limits, where, allow_doctype=True), True
    except etree.XMLSyntaxError:
        return parse_html(text, limits, where), False


def _parse_xml(text: str, limits: Limits, where: str, *, allow_doctype: bool) -> etree._Element:
    _check_size(text, where)
    text = _NAMED_ENTITY.sub(_numbered, _without_doctype(text, where, allow_doctype))
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=True,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError:
        _refuse_depth(parser, limits, where)
        raise
    check_depth(root, limits.max_depth, where)
    return root


def text_of(element: etree._Element) -> str:
    """Return all text in an element."""
    return "".join(str(part) for part in element.itertext())


def check_depth(root: etree._Element, max_depth: int, where: str) -> None:
    """
    Measure the deepest nesting below `root`, without recursion.

    Raises:
        SourceTooLarge: it is over `max_depth`.
    """
    depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > max_depth:
            raise _too_deep(f"more than {max_depth}", max_depth, where)


def _check_size(text: str, where: str) -> None:
    n_tags = text.count("<")
    if n_tags > 2 * MAX_ELEMENTS:
        raise SourceTooLarge(
            f"has {n_tags} tags, the cap is {2 * MAX_ELEMENTS}", where=where, fix="split the file into smaller ones"
        )


def _refuse_depth(parser: etree._FeedParser, limits: Limits, where: str) -> None:
    for entry in parser.error_log:
        if entry.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT or "depth" in entry.message.lower():
            raise _too_deep("more than 2047", limits.max_depth, where)


def _too_deep(found: str, max_depth: int, where: str) -> SourceTooLarge:
    return SourceTooLarge(
        f"nests {found} elements, the cap is {max_depth}",
        where=where,
        fix="save the document again with a simpler structure",
    )


def _without_doctype(text: str, where: str, allow_doctype: bool) -> str:
    """Return the text without XML declaration and document type, so that no parser ever sees an entity declared."""
    prolog = _PROLOG.match(text.lstrip("\ufeff"))
    rest = text.lstrip("\ufeff")[prolog.end() if prolog else 0 :]
    if not rest[:9].lower().startswith("<!doctype"):
        return rest
    doctype = _DOCTYPE.match(rest)
    subset = (doctype.group(1) or "") if doctype else rest[:10_000]
    if "<!ENTITY" in subset.upper():
        raise MalformedSource(
            "declares entities, which can be made to expand without end",
            where=where,
            fix="do not trust this file; get it again from its publisher",
        )
    if doctype is None or not allow_doctype:
        raise MalformedSource(
            "has a document type declaration where none may be", where=where, fix="export the file again"
        )
    return rest[doctype.end() :]


def _numbered(match: re.Match[str]) -> str:
    """Return a character for one of HTML's names; what XML itself knows or nobody knows stays as it is."""
    name = match.group(1)
    if not name or name in _XML_ENTITIES:
        return match.group()
    return escape(html5[f"{name};"], {'"': "&quot;"}) if f"{name};" in html5 else match.group()
