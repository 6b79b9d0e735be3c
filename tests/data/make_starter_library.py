"""
Make the binary documents of the starter library; no other file of the corpus is written here.

The words stand in ``starter_library/*.txt`` beside this script. Running it twice gives the same
bytes: dates and identifiers are fixed, archives are stored without compression (compressed bytes
differ between zlib builds), and PDF streams are left plain for the same reason.

    python tests/data/make_starter_library.py            # write into corpus/
    python tests/data/make_starter_library.py --check    # compare; exit 1 on a difference
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docx.document import Document

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "starter_library"
CORPUS = HERE.parent.parent / "corpus"

PUBLISHER = "Citewell starter library"
PUBLISHED = datetime(2026, 11, 21, tzinfo=UTC)
LICENSE = "Apache-2.0"
# The earliest time that a ZIP entry can hold.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
# Any constant namespace does; it only has to stay the same.
ID_NAMESPACE = uuid.UUID("6f1d3f0e-7c4b-5a55-9a3e-0c1e5ca11b4a")

# Where a word may be divided at the end of a line. Listed by hand so that no hyphenation
# library (and no update of one) can change the bytes.
SYLLABLES = (
    "ac-cord-ing ad-just-ed anti-bi-ot-ics ar-ti-cle at-ten-tion be-hav-iour-al bup-re-nor-phine "
    "cel-lu-li-tis com-par-i-son com-pared con-di-tion coun-sel-ling coun-sel-lor crav-ings "
    "de-pend-ence dif-fer-ence en-do-car-di-tis fam-i-lies "
    "gov-ern-ment hep-a-ti-tis her-oin in-ci-dents in-fec-tion in-fec-tions in-jec-tion "
    "in-ject-ing in-pa-tient Jour-nal med-i-cine med-i-cines Med-i-cine med-i-cal "
    "meth-a-done mo-ti-va-tion-al nal-trex-one out-pa-tient over-dose opi-oid opi-oids "
    "par-tic-i-pants peo-ple pro-fes-sion-al pro-gramme pre-scribed pub-lish-er re-cep-tor "
    "re-cep-tors reg-u-lar re-lapse re-port-ed spe-cial stim-u-lants sub-stance "
    "su-per-vi-sion symp-toms ther-a-pies ther-a-py treat-ment treat-ments us-ing weak-en "
    "with-drawal with-out"
)
DIVISIONS = {word.replace("-", "").lower(): word.split("-") for word in SYLLABLES.split()}


@dataclass(frozen=True, slots=True)
class Block:
    """Hold one block of a text source: heading2, heading3, paragraph, item or row."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """Hold one set line of a PDF, measures in points; ``heading`` is set on its first line."""

    text: str
    font: str
    size: float
    indent: float = 0.0
    heading: str = ""


def read_source(name: str) -> tuple[str, list[Block]]:
    """Return the title and the blocks of ``starter_library/<name>.txt``."""
    title = ""
    blocks: list[Block] = []
    prefixes = {"## ": "heading2", "### ": "heading3", "- ": "item", "| ": "row"}
    for line in (SOURCES / f"{name}.txt").read_text("utf-8").splitlines():
        if not line.strip():
            continue
        if line.startswith("# "):
            title = line[2:]
            continue
        for prefix, kind in prefixes.items():
            if line.startswith(prefix):
                blocks.append(Block(kind, line[len(prefix) :].strip().rstrip("|").strip()))
                break
        else:
            blocks.append(Block("paragraph", line.strip()))
    return title, blocks


def slug(heading: str) -> str:
    """Return an element id for a heading: lower-case words joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", heading.lower()))


# PDF ------------------------------------------------------------------------------------------

# Chosen so that a sentence, once with a divided word, runs over a page break in each file.
LEADING = 13.0


def divide(word: str) -> Iterator[tuple[str, str]]:
    """Yield (head with hyphen, tail) for each place to divide ``word``, longest head first."""
    match = re.fullmatch(r"(\W*)([A-Za-z]+)(\W*)", word)
    parts = DIVISIONS.get(match[2].lower(), []) if match else []
    for cut in range(len(parts) - 1, 0, -1):
        at = len(match[1]) + sum(len(part) for part in parts[:cut]) if match else 0
        yield word[:at] + "-", word[at:]


def wrap(text: str, width: float, font: str, size: float, *, divided: bool = True) -> list[str]:
    """Break ``text`` into lines of at most ``width`` points, where ``divided`` with listed words parted."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    lines: list[str] = []
    current = ""
    words = text.split()
    while words:
        word = words.pop(0)
        candidate = f"{current} {word}".strip()
        if stringWidth(candidate, font, size) <= width:
            current = candidate
            continue
        for head, tail in divide(word) if divided else ():
            candidate = f"{current} {head}".strip()
            if stringWidth(candidate, font, size) <= width:
                current, word = candidate, tail
                break
        lines.append(current)
        current = word
    return [*lines, current]


def set_lines(blocks: Sequence[Block], width: float, size: float) -> list[Line]:
    """Set blocks as lines on one grid; an empty line stands before headings and paragraphs."""
    lines: list[Line] = []
    previous = ""
    for block in blocks:
        if block.kind.startswith("heading"):
            lines.append(Line("", "Helvetica", size))
            lines += [
                Line(text, "Helvetica-Bold", size, heading=block.text if number == 0 else "")
                for number, text in enumerate(wrap(block.text, width, "Helvetica-Bold", size, divided=False))
            ]
        elif block.kind == "item":
            for number, text in enumerate(wrap(block.text, width - 12, "Times-Roman", size)):
                bullet = "- " if number == 0 else ""
                lines.append(Line(bullet + text, "Times-Roman", size, 4 if number == 0 else 12))
        else:
            if previous != "" and not previous.startswith("heading"):
                lines.append(Line("", "Times-Roman", size))
            lines += [Line(text, "Times-Roman", size) for text in wrap(block.text, width, "Times-Roman", size)]
        previous = block.kind
    return lines


def make_pdf(name: str, *, n_columns: int, running_title: str, keywords: str) -> bytes:
    """
    Set one text source as a PDF with running header, footer and page numbers.

    With two columns, each row is drawn across the page (left line, then right line), so that the
    columns stand interleaved in the content stream, as many real files have them.
    """
    from reportlab.pdfgen.canvas import Canvas

    title, blocks = read_source(name)
    page_width, page_height, margin, size, leading = 432.0, 612.0, 48.0, 10.5, LEADING
    gutter = 20.0
    column = (page_width - 2 * margin - gutter * (n_columns - 1)) / n_columns
    title_lines = wrap(title, page_width - 2 * margin, "Helvetica-Bold", 15, divided=False)
    body = set_lines(blocks, column, size)
    rows_full = int((page_height - 2 * margin - 24) / leading)
    rows_first = rows_full - 2 * len(title_lines) - 2

    pages: list[list[list[Line]]] = []
    rest = body
    while rest:
        n_rows = rows_full if pages else rows_first
        if len(rest) <= n_rows * n_columns:
            n_rows = -(-len(rest) // n_columns)
        pages.append([rest[at * n_rows : (at + 1) * n_rows] for at in range(n_columns)])
        rest = rest[n_rows * n_columns :]

    out = io.BytesIO()
    # invariant=1: no clock and no random id in the file.
    pdf = Canvas(out, pagesize=(page_width, page_height), invariant=1, pageCompression=0)
    pdf.setTitle(title)
    pdf.setAuthor(PUBLISHER)
    pdf.setSubject(running_title)
    pdf.setKeywords(keywords)
    for number, columns in enumerate(pages, start=1):
        pdf.setFont("Helvetica", 8)
        pdf.drawString(margin, page_height - 30, PUBLISHER)
        pdf.drawRightString(page_width - margin, page_height - 30, running_title)
        top = page_height - margin - 16
        if number == 1:
            pdf.setFont("Helvetica-Bold", 15)
            for text in title_lines:
                pdf.drawString(margin, top, text)
                top -= 19
            pdf.setFont("Helvetica-Oblique", 9)
            pdf.drawString(margin, top, f"{PUBLISHED:%d %B %Y}")
            top -= 22
        for row in range(max(len(lines) for lines in columns)):
            for at, lines in enumerate(columns):
                if row >= len(lines) or not lines[row].text:
                    continue
                line = lines[row]
                pdf.setFont(line.font, line.size)
                left = margin + at * (column + gutter) + line.indent
                pdf.drawString(left, top - row * leading, line.text)
                if line.heading:
                    pdf.bookmarkPage(slug(line.heading))
                    pdf.addOutlineEntry(line.heading, slug(line.heading), level=0)
        pdf.setFont("Helvetica", 8)
        pdf.drawString(margin, 28, f"{PUBLISHED:%d %B %Y}")
        pdf.drawRightString(page_width - margin, 28, f"Page {number} of {len(pages)}")
        pdf.showPage()
    pdf.save()
    return out.getvalue()


# DOCX -----------------------------------------------------------------------------------------

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
TYPE, STYLE_ID = f"{WORD}type", f"{WORD}styleId"
UNUSED_PARTS = ("/stylesWithEffects", "/thumbnail")


def make_docx(name: str, *, subject: str, keywords: str) -> bytes:
    """Set one text source as a Word file with headings, bullets, a table and core properties."""
    import docx

    title, blocks = read_source(name)
    document = docx.Document()
    moment = PUBLISHED.replace(tzinfo=None)
    properties = document.core_properties
    properties.title = title
    properties.author = PUBLISHER
    properties.last_modified_by = PUBLISHER
    properties.subject = subject
    properties.keywords = keywords
    properties.language = "en"
    properties.comments = ""
    properties.created = properties.modified = moment
    properties.revision = 1
    section = document.sections[0]
    section.header.paragraphs[0].text = PUBLISHER
    section.footer.paragraphs[0].text = f"{title}. {PUBLISHED:%d %B %Y}"

    document.add_heading(title, level=0)
    rows: list[list[str]] = []
    for block in [*blocks, Block("end", "")]:
        if block.kind == "row":
            rows.append([cell.strip() for cell in block.text.split("|")])
            continue
        if rows:
            table = document.add_table(rows=0, cols=len(rows[0]), style="Table Grid")
            for number, cells in enumerate(rows):
                row = table.add_row()
                for cell, text in zip(row.cells, cells, strict=True):
                    cell.paragraphs[0].add_run(text).bold = True if number == 0 else None
            rows = []
        if block.kind == "heading2":
            document.add_heading(block.text, level=1)
        elif block.kind == "heading3":
            document.add_heading(block.text, level=2)
        elif block.kind == "item":
            document.add_paragraph(block.text, style="List Bullet")
        elif block.kind == "paragraph":
            document.add_paragraph(block.text)
    drop_unused_parts(document)
    raw = io.BytesIO()
    document.save(raw)
    with zipfile.ZipFile(raw) as archive:
        return make_zip([(entry, archive.read(entry)) for entry in archive.namelist()])


def drop_unused_parts(document: Document) -> None:
    """Remove the template's thumbnail, second style sheet and unused table styles (0.8 MB)."""
    for rels in (document.part.rels, document.part.package.rels):
        for key in [key for key, rel in rels.items() if rel.reltype.endswith(UNUSED_PARTS)]:
            del rels[key]
    for style in list(document.styles.element.style_lst):
        if style.get(TYPE) == "table" and style.get(STYLE_ID) not in {"TableNormal", "TableGrid"}:
            document.styles.element.remove(style)


# EPUB -----------------------------------------------------------------------------------------

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


DOCUMENTS: dict[str, Callable[[], bytes]] = {
    "treatment/treatment-options.pdf": lambda: make_pdf(
        "treatment-options",
        n_columns=1,
        running_title="Treatment options",
        keywords="treatment, detox, medicines, therapy",
    ),
    "evidence/naltrexone-trial-2016.pdf": lambda: make_pdf(
        "naltrexone-trial-2016",
        n_columns=2,
        running_title="The 2016 naltrexone study",
        keywords="naltrexone, study, relapse, overdose",
    ),
    "body/infections-from-injecting.pdf": lambda: make_pdf(
        "infections-from-injecting",
        n_columns=1,
        running_title="Infections from injecting",
        keywords="injecting, endocarditis, botulism, abscess, sepsis",
    ),
    "treatment/talking-therapies.docx": lambda: make_docx(
        "talking-therapies", subject="Behavioural treatment", keywords="therapy, CBT, counselling"
    ),
    "medicines/naltrexone.docx": lambda: make_docx(
        "naltrexone", subject="Naltrexone", keywords="naltrexone, medicines, relapse"
    ),
    "mind/trauma-and-dissociation.epub": lambda: make_epub(
        "trauma-and-dissociation",
        description="PTSD, dissociation and opioid use, with the limits of the evidence.",
        subjects=["PTSD", "trauma", "dissociation"],
    ),
    "community/older-adults.epub": lambda: make_epub(
        "older-adults",
        description="Signs, safety and treatment for older adults.",
        subjects=["older adults", "prescription medicines"],
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or compare the documents; return the exit status (1: a document differs)."""
    parser = argparse.ArgumentParser(description="Make the binary documents of the starter library.")
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="folder to write into")
    parser.add_argument("--check", action="store_true", help="compare only; write nothing")
    options = parser.parse_args(arguments)
    status = 0
    for path, make in DOCUMENTS.items():
        target: Path = options.corpus / path
        content = make()
        if options.check:
            if not target.is_file() or target.read_bytes() != content:
                sys.stderr.write(f"{target}: differs from its text source; run this script\n")
                status = 1
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return status


if __name__ == "__main__":
    sys.exit(main())
