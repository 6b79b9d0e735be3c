"""The verbatim invariant over generated documents, through every reader."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from html import escape

import docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Paragraph, SimpleDocTemplate
from tests_support import count_words

from ingest.assemble import assemble_document, undo_repairs
from ingest.limits import Limits
from ingest.model import Metadata, Source
from ingest.readers import reader_for
from ingest.split import SplitConfig, split_document

Section = tuple[str, list[str]]
WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyzéüñ", min_size=1, max_size=9)
SENTENCES = st.builds(
    lambda words, end: f"{' '.join(words).capitalize()}{end}",
    st.lists(WORDS, min_size=2, max_size=14),
    st.sampled_from([".", "?", "!", ":", " (e.g. this).", " 5 mg. of it."]),
)
PARAGRAPHS = st.lists(SENTENCES, min_size=1, max_size=9).map(" ".join)
HEADINGS = st.lists(WORDS, min_size=1, max_size=3).map(lambda words: " ".join(words).title())
SECTIONS = st.lists(st.tuples(HEADINGS, st.lists(PARAGRAPHS, min_size=1, max_size=4)), min_size=1, max_size=4)


def as_text(sections: list[Section]) -> bytes:
    return "\n\n".join(part for heading, paragraphs in sections for part in (heading, *paragraphs)).encode()


def as_markdown(sections: list[Section]) -> bytes:
    parts = (part for heading, paragraphs in sections for part in (f"## {heading}", *paragraphs, "- one item\n- two"))
    return "\n\n".join(parts).encode()


def as_html(sections: list[Section]) -> bytes:
    body = "".join(
        f"<h2>{escape(h)}</h2>" + "".join(f"<p>{escape(p)}</p>" for p in paragraphs) for h, paragraphs in sections
    )
    nav = "<nav><a href='/'>Home</a> <a href='/x'>Topics</a></nav>"
    return f"<html><body>{nav}<main>{body}</main><footer>(c) Us</footer></body></html>".encode()


def as_docx(sections: list[Section]) -> bytes:
    document = docx.Document()
    for heading, paragraphs in sections:
        document.add_heading(heading, 2)
        for paragraph in paragraphs:
            document.add_paragraph(paragraph)
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def as_epub(sections: list[Section]) -> bytes:
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
        '<rootfile full-path="c.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata/><manifest>'
        '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/></spine></package>'
    )
    chapter = as_html(sections).decode().replace("<html>", '<html xmlns="http://www.w3.org/1999/xhtml">')
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("c.opf", package)
        archive.writestr("a.xhtml", chapter)
    return stream.getvalue()


def as_pdf(sections: list[Section]) -> bytes:
    stream = io.BytesIO()
    styles = getSampleStyleSheet()
    story = []
    for heading, paragraphs in sections:
        story.append(Paragraph(escape(heading), styles["Heading2"]))
        story += [Paragraph(escape(paragraph), styles["BodyText"]) for paragraph in paragraphs]
    SimpleDocTemplate(stream).build(story)
    return stream.getvalue()


MAKERS: dict[str, Callable[[list[Section]], bytes]] = {
    ".txt": as_text,
    ".md": as_markdown,
    ".html": as_html,
    ".docx": as_docx,
    ".epub": as_epub,
    ".pdf": as_pdf,
}


@pytest.mark.parametrize("suffix", sorted(MAKERS))
@settings(max_examples=25, deadline=None)
@given(sections=SECTIONS, max_tokens=st.integers(min_value=8, max_value=128))
def test_passages_are_verbatim_bounded_and_cover(suffix: str, sections: list[Section], max_tokens: int) -> None:
    """This ensures, through every reader, that passages are cut from the text, in order, and leave no content out."""
    name, read = reader_for(suffix, f"a{suffix}")
    extraction = read(MAKERS[suffix](sections), Limits(), f"a{suffix}")
    source = Source(f"a{suffix}", "0" * 64, 1)
    document = assemble_document(source, name, Metadata(title="T"), extraction)

    passages = split_document(document, SplitConfig(max_tokens=max_tokens, max_sentence_tokens=160), count_words)

    assert isinstance(undo_repairs(document.text, document.repairs), str)
    covered = bytearray(len(document.text))
    position = 0
    for passage in passages:
        assert document.text[passage.start : passage.end] == passage.text == passage.text.strip()
        assert passage.start >= position
        assert all(passage.start <= start < end <= passage.end for start, end in passage.sentences)
        position = passage.end
        covered[passage.start : passage.end] = b"\x01" * (passage.end - passage.start)
    for block in document.blocks:
        inside = [covered[i] for i in range(block.start, block.end) if not document.text[i].isspace()]
        assert set(inside) == {1 if block.is_quotable else 0}
    assert len({passage.id for passage in passages}) == len(passages)
