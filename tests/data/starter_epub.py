"""Makes the EPUB files of the starter library, the same bytes each time."""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

from starter_source import ID_NAMESPACE, LICENSE, PUBLISHED, PUBLISHER, ZIP_TIME, Block, read_source, slug

XHTML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="en" \
xml:lang="en">
<head><title>{title}</title><link rel="stylesheet" type="text/css" href="style.css"/></head>
<body>
{body}
</body>
</html>
"""


def render_chapter(blocks: Sequence[Block]) -> str:
    """Return the XHTML body of one chapter; its first block is the chapter's heading."""
    out: list[str] = []
    in_list = False
    for block in blocks:
        if in_list and block.kind != "item":
            out.append("</ul>")
            in_list = False
        text = escape(block.text, quote=False)
        if block.kind.startswith("heading"):
            level = int(block.kind[-1]) - 1
            out.append(f'<h{level} id="{slug(block.text)}">{text}</h{level}>')
        elif block.kind == "item":
            if not in_list:
                out.append("<ul>")
                in_list = True
            out.append(f"<li>{text}</li>")
        else:
            out.append(f"<p>{text}</p>")
    if in_list:
        out.append("</ul>")
    return "\n".join(out)


def make_epub(name: str, *, description: str, subjects: Sequence[str]) -> bytes:
    """Set one text source as an EPUB 3 book with a title page, a nav and one file per chapter."""
    title, blocks = read_source(name)
    chapters: list[list[Block]] = []
    for block in blocks:
        if block.kind == "heading2":
            chapters.append([])
        chapters[-1].append(block)
    names = [f"chapter-{number}" for number in range(1, len(chapters) + 1)]
    book_id = uuid.uuid5(ID_NAMESPACE, name)

    pages = ["title-page", *names]
    manifest = "\n".join(
        f'<item id="{page}" href="{page}.xhtml" media-type="application/xhtml+xml"/>' for page in pages
    )
    spine = "\n".join(f'<itemref idref="{page}"/>' for page in pages)
    tags = "\n".join(f"<dc:subject>{escape(subject)}</dc:subject>" for subject in subjects)
    opf = f"""<?xml version="1.0" encoding="UTF-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="book-id" \
xml:lang="en">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="book-id">urn:uuid:{book_id}</dc:identifier>
<dc:title>{escape(title)}</dc:title>
<dc:creator>{PUBLISHER}</dc:creator>
<dc:publisher>{PUBLISHER}</dc:publisher>
<dc:language>en</dc:language>
<dc:date>{PUBLISHED:%Y-%m-%d}</dc:date>
<dc:rights>{LICENSE}</dc:rights>
<dc:description>{escape(description)}</dc:description>
{tags}
<meta property="dcterms:modified">{PUBLISHED:%Y-%m-%dT%H:%M:%SZ}</meta>
</metadata>
<manifest>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="style" href="style.css" media-type="text/css"/>
{manifest}
</manifest>
<spine>
{spine}
</spine>
</package>
"""
    links = "\n".join(
        f'<li><a href="{page}.xhtml">{escape(chapter[0].text)}</a></li>'
        for page, chapter in zip(names, chapters, strict=True)
    )
    nav = f'<nav epub:type="toc" id="toc"><h1>Contents</h1>\n<ol>\n{links}\n</ol></nav>'
    cover = (
        f'<section epub:type="titlepage"><p class="title">{escape(title)}</p>\n'
        f'<p class="imprint">{PUBLISHER}, {PUBLISHED:%d %B %Y}</p></section>'
    )
    container = """<?xml version="1.0" encoding="UTF-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles>
<rootfile full-path="EPUB/content.opf" media-type="application/oebps-package+xml"/>
</rootfiles>
</container>
"""
    entries = [
        # The EPUB rules ask for this entry first and uncompressed.
        ("mimetype", b"application/epub+zip"),
        ("META-INF/container.xml", container.encode()),
        ("EPUB/content.opf", opf.encode()),
        ("EPUB/nav.xhtml", XHTML.format(title="Contents", body=nav).encode()),
        ("EPUB/style.css", b"body { font-family: serif; }\n.title { font-size: 1.6em; }\n"),
        ("EPUB/title-page.xhtml", XHTML.format(title=escape(title), body=cover).encode()),
    ]
    for page, chapter in zip(names, chapters, strict=True):
        text = XHTML.format(title=escape(chapter[0].text), body=render_chapter(chapter))
        entries.append((f"EPUB/{page}.xhtml", text.encode()))
    return make_zip(entries)


def make_zip(entries: Sequence[tuple[str, bytes]]) -> bytes:
    """Return a ZIP archive of the entries in their order, stored, with a fixed time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries:
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            # Unix on every machine; the default follows the machine that runs this.
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return out.getvalue()
