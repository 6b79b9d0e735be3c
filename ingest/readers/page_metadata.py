"""
What an HTML page says about itself: meta elements, JSON-LD, links. Takes only values that validate; reads no content.

`dateModified` is not taken as a review: pages change for many reasons.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from lxml import etree

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
from ingest.readers.tree import local_name, text_of

_MAX_JSON_CHARS = 1_000_000
_MAX_JSON_NODES = 10_000

_TITLE_SEPARATOR = "[-|:\u2013\u2014\u00b7\u00bb]"  # between a page's title and its site's name
_PUBLISHED = (
    "article:published_time",
    "datepublished",
    "citation_publication_date",
    "dcterms.issued",
    "dc.date.issued",
    "dcterms.date",
    "dc.date",
    "date",
)
_REVIEWED = ("lastreviewed", "article:reviewed_time", "last-reviewed", "dcterms.reviewed")
_ARTICLE_TYPES = ("article", "posting", "report", "webpage", "medicalwebpage", "faqpage", "creativework", "guide")


def read_page_metadata(root: etree._Element, title_heading: str) -> dict[str, object]:
    """
    Return what the page says, by field name of Metadata; fields without a valid value are left out.

    Args:
        root: the page.
        title_heading: the text of the h1 that names the page, "" if there is none. It is the title where the page's
            title begins with it (and goes on with the site's name), or where there is no other.
    """
    metas = _metas(root)
    linked = _json_ld(root)
    publisher = _first(metas, "og:site_name", "dcterms.publisher", "dc.publisher", "citation_publisher")
    publisher = clean_value(_name_of(linked.get("publisher"), linked)) or publisher
    authors = (*metas.get("citation_author", ()), *metas.get("author", ()), *metas.get("dc.creator", ()))
    authors = authors or tuple(_name_of(author, linked) for author in _as_list(linked.get("author")))
    found: dict[str, object] = {
        "title": _title(root, metas, title_heading, publisher),
        "publisher": publisher,
        "authors": unique(a for a in map(clean_value, authors) if "://" not in a)[:MAX_AUTHORS],
        "published": first_date([*_values(metas, _PUBLISHED), linked.get("datePublished")]),
        "reviewed": first_date([linked.get("lastReviewed"), *_values(metas, _REVIEWED)]),
        "url": parse_url(_link(root, "canonical")) or parse_url(_first(metas, "og:url")),
        "license": _license(root, metas, linked),
        "language": _language(root, metas, linked),
    }
    return valid_fields(found)


def _metas(root: etree._Element) -> dict[str, tuple[str, ...]]:
    """Return the content of meta elements and microdata by name in lower case."""
    found: dict[str, tuple[str, ...]] = {}
    for element in root.iter():
        tag = local_name(element)
        name = element.get("itemprop")
        if tag == "meta":
            name = element.get("name") or element.get("property") or element.get("http-equiv") or name
        elif tag != "time" or name is None:
            continue
        value = clean_value(element.get("content") if tag == "meta" else element.get("datetime"))
        if name and value:
            key = clean_value(name).lower()
            found[key] = (*found.get(key, ()), value)[:MAX_AUTHORS]
    return found


def _values(metas: dict[str, tuple[str, ...]], names: Iterable[str]) -> list[object]:
    return [value for name in names for value in metas.get(name, ())]


def _first(metas: dict[str, tuple[str, ...]], *names: str) -> str:
    return next((metas[name][0] for name in names if name in metas), "")


def _link(root: etree._Element, relation: str) -> str:
    for element in root.iter():
        if local_name(element) in ("link", "a") and relation in element.get("rel", "").lower().split():
            return element.get("href", "")
    return ""


def _title(root: etree._Element, metas: dict[str, tuple[str, ...]], heading: str, publisher: str) -> str:
    own = ""
    for element in root.iter():
        if local_name(element) == "title" and not any(local_name(e) == "svg" for e in element.iterancestors()):
            own = clean_value(text_of(element))
            break
    title = _first(metas, "og:title", "citation_title", "dcterms.title", "dc.title") or own
    heading = clean_value(heading)
    with_site = rf"{re.escape(heading)}\s*(?:{_TITLE_SEPARATOR}|$)"
    if heading and (not title or re.match(with_site, title, re.IGNORECASE)):
        return heading
    return re.sub(rf"\s*{_TITLE_SEPARATOR}\s*{re.escape(publisher)}$", "", title) if publisher else title


def _license(root: etree._Element, metas: dict[str, tuple[str, ...]], linked: dict[str, object]) -> str:
    for value in (_link(root, "license"), linked.get("license"), _first(metas, "dcterms.license", "dc.rights")):
        if isinstance(value, str) and (parse_url(value) or not re.match(r"\s*(?:[./#]|\w+:)", value)):
            found = parse_license(value)
            if found:
                return found
    return ""


def _language(root: etree._Element, metas: dict[str, tuple[str, ...]], linked: dict[str, object]) -> str:
    html = next((e for e in root.iter() if local_name(e) == "html"), root)
    declared = html.get("lang") or html.get("{http://www.w3.org/XML/1998/namespace}lang") or html.get("xml:lang")
    values = (declared, _first(metas, "content-language"), _first(metas, "og:locale"), linked.get("inLanguage"))
    return next((found for found in map(parse_language, values) if found), "")


def _json_ld(root: etree._Element) -> dict[str, object]:
    """
    Return the properties of the node that describes the page, articles before pages, nodes by id under "@nodes".

    A property that an article leaves open is taken from the page around it.
    """
    nodes: list[dict[str, object]] = []
    for element in root.iter("script", "{http://www.w3.org/1999/xhtml}script"):
        if (element.get("type") or "").strip().lower() == "application/ld+json":
            nodes += _nodes(element.text or "")
    described = [node for node in nodes if _rank(node) is not None]
    described.sort(key=lambda node: _rank(node) or 0)
    merged: dict[str, object] = {}
    for node in described:
        merged = {**node, **merged}
    merged["@nodes"] = {node["@id"]: node for node in nodes if isinstance(node.get("@id"), str) and "name" in node}
    return merged


def _rank(node: dict[str, object]) -> int | None:
    types = [t.lower() for t in _as_list(node.get("@type")) if isinstance(t, str)]
    ranks = [0 if t.endswith(_ARTICLE_TYPES[:3]) else 1 for t in types if t.endswith(_ARTICLE_TYPES)]
    return min(ranks, default=None)


def _nodes(text: str) -> list[dict[str, object]]:
    """Return the nodes of one JSON-LD script, outermost first; none if it is no JSON, too long or too deep."""
    if len(text) > _MAX_JSON_CHARS:
        return []
    try:
        value: object = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return []
    found: list[dict[str, object]] = []
    queue = [value]
    for current in queue:  # grows while it is read: breadth first, no recursion
        if len(queue) > _MAX_JSON_NODES:
            break
        if isinstance(current, list):
            queue.extend(current)
        elif isinstance(current, dict):
            found.append(current)
            queue.extend(v for v in current.values() if isinstance(v, (dict, list)))
    return found


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _name_of(value: object, linked: dict[str, object]) -> str:
    """Return the name of a person or organisation, given as text, as a node or as a reference to one."""
    first: object = next(iter(_as_list(value)), None)
    nodes = linked.get("@nodes")
    if isinstance(first, dict) and "name" not in first and isinstance(nodes, dict):
        first = nodes.get(first.get("@id")) if isinstance(first.get("@id"), str) else None
    if isinstance(first, dict):
        first = next(iter(_as_list(first.get("name"))), None)
    return first if isinstance(first, str) else ""
