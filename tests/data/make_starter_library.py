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
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docx.document import Document

from starter_epub import make_epub, make_zip
from starter_source import CORPUS, DIVISIONS, PUBLISHED, PUBLISHER, Block, Line, read_source, slug

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
