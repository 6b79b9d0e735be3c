"""
Gets a docx ready for mammoth: the parts it needs, vetted and rewritten so that mammoth loses no text.

mammoth 1.13 reads XML with minidom and recursion. On this machine it takes about 1 KB and 26 microseconds an element
(140,000 elements: 137 MB, 3.7 s) and seven Python frames a level (it fails between 125 and 155 levels); the caps
below follow from that. It never sees images, comments, macros or anything else that is not rewritten here.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lxml import etree

from ingest.errors import MalformedSource, SourceTooLarge
from ingest.limits import Limits
from ingest.readers.archive import Archive, describe_members
from ingest.readers.tree import decode_xml, parse_xml

MAX_ELEMENTS = 1_000_000
MAX_DEPTH = 100  # Word itself writes 15 to 40
HIDDEN_MARK = "hidden"  # a highlight colour that Word doesn't have: carries w:vanish through mammoth

# Word writes the first name, strict files (ISO 29500) the second.
_W_NAMES = (
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "http://purl.oclc.org/ooxml/wordprocessingml/main",
)
_MAIN_TYPE = "/officeDocument"
_KEPT_TYPES = ("/styles", "/numbering", "/footnotes", "/endnotes")
_BODY_TYPES = ("/footnotes", "/endnotes")
_UNWRAPPED = frozenset({"fldSimple", "dir", "bdo", "ruby", "rubyBase"})  # mammoth drops these with what they hold
_DROPPED = frozenset({"rt", "rubyPr"})
_REMOVED_BY_EDITORS = frozenset({"del", "moveFrom"})
_LETTER = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class WordParts:
    """
    A docx reduced to what is read.

    `packed` is a small docx for mammoth. `heading_styles` maps a paragraph style's id to its outline level, 1 to 6.
    `headers` and `footers` are the roots of those parts. `n_letters` counts letters and digits of all text that
    should come out of mammoth.
    """

    packed: bytes
    heading_styles: dict[str, int]
    headers: tuple[etree._Element, ...]
    footers: tuple[etree._Element, ...]
    n_comments: int
    n_changes: int
    n_letters: int


def word_name(element: etree._Element) -> str:
    """Return an element's name if it is WordprocessingML's, "" otherwise."""
    tag: object = element.tag
    if not isinstance(tag, str):
        return ""
    space, _, name = tag[1:].rpartition("}")
    return name if space in _W_NAMES else ""


def is_on(element: etree._Element | None) -> bool:
    """Tell whether a switch such as w:vanish is there and not set to false."""
    return element is not None and word_attribute(element, "val") not in ("0", "false", "off", "none")


def word_attribute(element: etree._Element, name: str) -> str:
    """Return a WordprocessingML attribute, "" if it is not there."""
    return next((value for space in _W_NAMES if (value := element.get(f"{{{space}}}{name}"))), "")


def read_parts(archive: Archive, limits: Limits, where: str) -> WordParts:
    """
    Return the parts of a docx that are read.

    Raises:
        MalformedSource: no Word document, or its XML is broken or has a document type.
        SourceTooLarge: nested too deep or too many elements.
    """
    reader = _PartReader(archive, limits, where)
    main_path = _main_path(reader, archive, where)
    relations = reader.relations(main_path)
    kept: dict[str, bytes] = {}
    main = reader.part(main_path)
    n_changes = _rewrite(main)
    n_letters = _count_letters(main)
    kept[main_path] = _serialise(main)
    styles: etree._Element | None = None
    for kind, path in relations:
        if not kind.endswith(_KEPT_TYPES) or path not in archive or path in kept:
            continue
        root = reader.part(path)
        if kind.endswith(_BODY_TYPES):
            n_changes += _rewrite(root)
            n_letters += _count_letters(root)
        elif kind.endswith("/styles"):
            styles = root
        kept[path] = _serialise(root)
    for path in (main_path, *kept):
        for name in (_relations_path(path), "_rels/.rels", "[Content_Types].xml"):
            if name in archive and name not in kept:
                kept = {**kept, name: _serialise(reader.part(name))}
    comments = [path for kind, path in relations if kind.endswith("/comments") and path in archive]
    return WordParts(
        packed=_pack(kept),
        heading_styles={} if styles is None else _heading_styles(styles),
        headers=_running(reader, archive, relations, "/header"),
        footers=_running(reader, archive, relations, "/footer"),
        n_comments=sum(word_name(e) == "comment" for path in comments for e in reader.part(path).iter()),
        n_changes=n_changes,
        n_letters=n_letters,
    )


class _PartReader:
    """Parses parts, each once, counting elements over all of them."""

    def __init__(self, archive: Archive, limits: Limits, where: str) -> None:
        self._archive = archive
        self._limits = replace(limits, max_depth=min(limits.max_depth, MAX_DEPTH))
        self._where = where
        self._n_tags = 0
        self._roots: dict[str, etree._Element] = {}

    def part(self, name: str) -> etree._Element:
        if name not in self._roots:
            self._roots[name] = self._parse(name)
        return self._roots[name]

    def _parse(self, name: str) -> etree._Element:
        place = f"{self._where}: {name}"
        text = decode_xml(self._archive.read(name), place)
        self._n_tags += text.count("<")
        if self._n_tags > 2 * MAX_ELEMENTS:
            raise SourceTooLarge(
                f"has over {self._n_tags} XML tags, the cap is {2 * MAX_ELEMENTS}",
                where=self._where,
                fix="split the document into smaller ones",
            )
        return parse_xml(text, self._limits, place, allow_doctype=False)

    def relations(self, name: str) -> list[tuple[str, str]]:
        """Return (type, member name) of a part's relations within the archive."""
        path = _relations_path(name)
        if path not in self._archive:
            return []
        found = []
        for element in self.part(path).iter():
            kind, target = element.get("Type", ""), element.get("Target", "")
            if kind and target and element.get("TargetMode", "Internal") != "External":
                joined = posixpath.normpath(posixpath.join("/", posixpath.dirname(name), target)).lstrip("/")
                found.append((kind, joined))
        return found


def _main_path(reader: _PartReader, archive: Archive, where: str) -> str:
    targets = [path for kind, path in reader.relations("") if kind.endswith(_MAIN_TYPE)]
    path = next((target for target in targets if target in archive), "word/document.xml")
    if path in archive:
        root = reader.part(path)
        if word_name(root) == "document":
            return path
    raise MalformedSource(
        f"is not a Word document (docx) but {describe_members(archive.names)}",
        where=where,
        fix="give it the ending of what it is, or save it as .docx",
    )


def _relations_path(name: str) -> str:
    folder, _, file = name.rpartition("/")
    return f"{folder}/_rels/{file}.rels" if folder else f"_rels/{file}.rels"


def _rewrite(root: etree._Element) -> int:
    """Change what mammoth would lose into what it reads; return the number of tracked changes."""
    n_changes = 0
    for element in list(root.iter()):
        name = word_name(element)
        local = str(element.tag).rpartition("}")[2]
        if name in ("ins", "del", "moveFrom", "moveTo"):
            n_changes += 1
        elif name in _UNWRAPPED:
            _unwrap(element)
        elif name in _DROPPED:
            _drop(element)
        elif name in ("cr", "ptab"):
            element.tag = _sibling_tag(element, "br" if name == "cr" else "tab")
        elif name == "dstrike":
            element.tag = _sibling_tag(element, "strike")
        elif name == "vanish" and is_on(element) and word_name(_parent(element)) == "rPr":
            _mark_hidden(element)
        elif not name and local == "AlternateContent":
            _choose_alternative(element)
        elif not name and local == "oMath":
            _flatten_formula(element, root)
    for drawing in [e for e in root.iter() if word_name(e) == "drawing"]:
        _lift_text_boxes(drawing)
    return n_changes


def _parent(element: etree._Element) -> etree._Element:
    parent = element.getparent()
    return element if parent is None else parent


def _sibling_tag(element: etree._Element, name: str) -> str:
    return f"{str(element.tag).rpartition('}')[0]}}}{name}"


def _drop(element: etree._Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def _unwrap(element: etree._Element) -> None:
    """Put an element's children in its place. In a w:ruby only the base text is kept, run by run."""
    parent = element.getparent()
    if parent is None:
        return
    at = parent.index(element)
    children = list(element)
    parent[at : at + 1] = children


def _mark_hidden(vanish: etree._Element) -> None:
    properties = _parent(vanish)
    for highlight in [e for e in properties if word_name(e) == "highlight"]:
        properties.remove(highlight)
    highlight = etree.SubElement(properties, _sibling_tag(vanish, "highlight"))
    highlight.set(_sibling_tag(vanish, "val"), HIDDEN_MARK)


def _choose_alternative(element: etree._Element) -> None:
    """Keep the fallback that mammoth reads, unless only the first choice has text."""
    fallback = next((e for e in element if str(e.tag).endswith("}Fallback")), None)
    choice = next((e for e in element if str(e.tag).endswith("}Choice")), None)
    if choice is not None and (fallback is None or (_count_letters(choice) and not _count_letters(fallback))):
        element[:] = list(choice)
        _unwrap(element)
    elif choice is not None:
        element.remove(choice)


def _flatten_formula(formula: etree._Element, root: etree._Element) -> None:
    text = "".join(e.text or "" for e in formula.iter() if str(e.tag).endswith("}t"))
    space = str(root.tag).rpartition("}")[0]
    run = etree.Element(f"{space}}}r")
    etree.SubElement(run, f"{space}}}t").text = text
    parent = formula.getparent()
    if parent is not None:
        parent[parent.index(formula)] = run
        if str(parent.tag).endswith("}oMathPara"):
            _unwrap(parent)


def _lift_text_boxes(drawing: etree._Element) -> None:
    """Move the paragraphs of text boxes behind the paragraph that anchors them, where mammoth reads them."""
    boxes = [e for e in drawing.iter() if word_name(e) == "txbxContent"]
    paragraph = next((e for e in drawing.iterancestors() if word_name(e) == "p"), None)
    if paragraph is None or paragraph.getparent() is None:
        return
    for box in reversed(boxes):
        for block in reversed(list(box)):
            paragraph.addnext(block)


def _count_letters(root: etree._Element) -> int:
    """Return the letters and digits of all text that is not deleted."""
    total = 0
    walker = etree.iterwalk(root, events=("start",))
    for _, element in walker:
        name = word_name(element)
        if name in _REMOVED_BY_EDITORS:
            walker.skip_subtree()
        elif name == "t" and element.text:
            total += len(_LETTER.findall(element.text))
    return total


def _heading_styles(styles: etree._Element) -> dict[str, int]:
    """Return the paragraph styles with an outline level of their own or from a style they are based on."""
    levels: dict[str, int] = {}
    based_on: dict[str, str] = {}
    for style in styles.iter():
        if word_name(style) != "style" or word_attribute(style, "type") != "paragraph":
            continue
        style_id = word_attribute(style, "styleId")
        for element in style.iter():
            value = word_attribute(element, "val")
            if word_name(element) == "basedOn":
                based_on[style_id] = value
            elif word_name(element) == "outlineLvl" and value.isascii() and value.isdigit():
                levels[style_id] = min(int(value[:4]), 99)
    found: dict[str, int] = {}
    for style_id in {*levels, *based_on}:
        seen: set[str] = set()
        current = style_id
        while current and current not in seen and current not in levels:
            seen.add(current)
            current = based_on.get(current, "")
        if levels.get(current, 9) < 9:  # 9 is body text
            found[style_id] = min(levels[current] + 1, 6)
    return found


def _running(
    reader: _PartReader, archive: Archive, relations: list[tuple[str, str]], kind: str
) -> tuple[etree._Element, ...]:
    paths = dict.fromkeys(path for relation, path in relations if relation.endswith(kind) and path in archive)
    return tuple(reader.part(path) for path in paths)


def iter_paragraphs(root: etree._Element) -> Iterator[str]:
    """Yield the text of each paragraph of a header or footer, deleted text left out."""
    for paragraph in root.iter():
        if word_name(paragraph) != "p":
            continue
        parts: list[str] = []
        walker = etree.iterwalk(paragraph, events=("start",))
        for _, element in walker:
            name = word_name(element)
            if name in _REMOVED_BY_EDITORS or (name == "p" and element is not paragraph):
                walker.skip_subtree()
            elif name == "t":
                parts.append(element.text or "")
            elif name in ("tab", "br", "cr", "ptab"):
                parts.append(" ")
        yield "".join(parts)


def _serialise(root: etree._Element) -> bytes:
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


def _pack(parts: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as container:
        for name, content in parts.items():
            container.writestr(name, content)
    return packed.getvalue()
