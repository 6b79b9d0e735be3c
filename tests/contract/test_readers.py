"""One suite for every reader that ingest.readers knows; a reader without a sample here fails it."""

from __future__ import annotations

import io
import random
import zipfile

import docx
import pytest
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Paragraph, SimpleDocTemplate

from ingest.assemble import undo_repairs
from ingest.errors import SourceError, SourceTooLarge
from ingest.limits import Limits
from ingest.metadata import check_fields
from ingest.model import BlockKind, Extraction
from ingest.readers import readable_suffixes, reader_for

TITLE = "Sleep After Stopping"
HEADING = "How Long It Lasts"
SENTENCE = "Most people sleep badly for about ten nights, and then the nights grow longer again."
SECOND = "A short walk in the morning light helps more than any tablet does."


def _txt() -> bytes:
    return f"{TITLE}\n\n{SECOND}\n\n{HEADING}\n\n{SENTENCE}\n".encode()


def _markdown() -> bytes:
    return f"---\ntitle: {TITLE}\nlanguage: en\n---\n\n# {TITLE}\n\n{SECOND}\n\n## {HEADING}\n\n{SENTENCE}\n".encode()


def _page() -> bytes:
    body = f"<h1>{TITLE}</h1><p>{SECOND}</p><h2>{HEADING}</h2><p>{SENTENCE}</p>"
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html>'
        f'<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head><title>{TITLE}</title></head>'
        f"<body><main><article>{body}</article></main></body></html>"
    ).encode()


def _html() -> bytes:
    return _page().split(b"?>", 1)[1]


def _pdf() -> bytes:
    styles = getSampleStyleSheet()
    story = [
        Paragraph(TITLE, styles["Heading1"]),
        Paragraph(SECOND, styles["BodyText"]),
        Paragraph(HEADING, styles["Heading2"]),
        Paragraph(SENTENCE, styles["BodyText"]),
    ]
    out = io.BytesIO()
    SimpleDocTemplate(out, pagesize=A4, title=TITLE, invariant=1).build(story)
    return out.getvalue()


def _docx() -> bytes:
    document = docx.Document()
    document.core_properties.title = TITLE
    document.add_heading(TITLE, level=1)
    document.add_paragraph(SECOND)
    document.add_heading(HEADING, level=2)
    document.add_paragraph(SENTENCE)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _epub() -> bytes:
    container = (
        '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles>'
        "</container>"
    )
    package = (
        '<?xml version="1.0"?><package version="3.0" xmlns="http://www.idpf.org/2007/opf" unique-identifier="id">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">x</dc:identifier>'
        f"<dc:title>{TITLE}</dc:title><dc:language>en</dc:language></metadata>"
        '<manifest><item id="c1" href="c1.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="c1"/></spine></package>'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("OEBPS/book.opf", package)
        archive.writestr("OEBPS/c1.xhtml", _page())
    return out.getvalue()


SAMPLES = {
    ".txt": _txt,
    ".md": _markdown,
    ".markdown": _markdown,
    ".html": _html,
    ".htm": _html,
    ".xhtml": _page,
    ".pdf": _pdf,
    ".docx": _docx,
    ".epub": _epub,
}
every_reader = pytest.mark.parametrize("suffix", readable_suffixes())


def _read(suffix: str, data: bytes, limits: Limits | None = None) -> Extraction:
    _, read = reader_for(suffix, f"sample{suffix}")
    return read(data, limits or Limits(), f"sample{suffix}")


def _outcome(suffix: str, data: bytes) -> Extraction | SourceError:
    try:
        return _read(suffix, data)
    except SourceError as error:
        return error


def _check_outcome(outcome: Extraction | SourceError, suffix: str) -> None:
    if isinstance(outcome, SourceError):
        assert outcome.what
        assert outcome.fix
        assert f"sample{suffix}" in outcome.where
    else:
        _check_invariants(outcome)


def _check_invariants(extraction: Extraction) -> None:
    end, section = 0, 0
    for block in extraction.blocks:
        piece = extraction.text[block.start : block.end]
        assert block.start >= end
        assert block.end <= len(extraction.text)
        assert piece == piece.strip()
        assert (1 <= block.level <= 6) == (block.kind is BlockKind.HEADING)
        assert block.section >= section
        end, section = block.end, block.section
    offsets = [page.offset for page in extraction.page_starts]
    assert offsets == sorted(offsets)
    assert offsets[:1] in ([], [0])
    assert "\x00" not in extraction.text
    assert "\r" not in extraction.text
    extraction.text.encode("utf-8")
    undo_repairs(extraction.text, extraction.repairs).encode("utf-8")


def test_every_ending_has_a_sample() -> None:
    """This ensures that no reader escapes the suite."""
    assert sorted(SAMPLES) == list(readable_suffixes())


@every_reader
def test_blocks_of_a_sample_are_sound(suffix: str) -> None:
    """This ensures that blocks ascend, lie in the text, and carry levels and sections as the model promises."""
    extraction = _read(suffix, SAMPLES[suffix]())

    _check_invariants(extraction)


@every_reader
def test_sentences_come_out_word_for_word(suffix: str) -> None:
    """This ensures that a sentence of the source stands whole and in one content block of the extraction."""
    extraction = _read(suffix, SAMPLES[suffix]())

    content = [
        " ".join(extraction.text[block.start : block.end].split())
        for block in extraction.blocks
        if not block.furniture and block.kind is not BlockKind.HEADING
    ]

    expected = [SECOND, SENTENCE]

    assert content == expected


@every_reader
def test_headings_open_sections(suffix: str) -> None:
    """This ensures that a paragraph knows the headings above it."""
    extraction = _read(suffix, SAMPLES[suffix]())

    last = extraction.blocks[-1]

    assert extraction.text[last.start : last.end].startswith("Most people")
    assert last.heading_path[-1] == HEADING
    assert last.section > extraction.blocks[0].section or extraction.blocks[0].kind is BlockKind.HEADING


@every_reader
def test_reading_twice_gives_the_same(suffix: str) -> None:
    """This ensures that an extraction depends on the bytes alone."""
    data = SAMPLES[suffix]()

    assert _read(suffix, data) == _read(suffix, data)


@every_reader
def test_metadata_is_checked_already(suffix: str) -> None:
    """This ensures that a reader hands on known fields of the right type and nothing else."""
    extraction = _read(suffix, SAMPLES[suffix]())

    checked, problems = check_fields(extraction.metadata)

    assert problems == ()
    assert checked == extraction.metadata


@every_reader
@pytest.mark.parametrize("cap", ["max_text_chars"])
def test_caps_are_errors_with_a_remedy(suffix: str, cap: str) -> None:
    """This ensures that a source over a cap is refused, naming the file."""
    with pytest.raises(SourceTooLarge) as caught:
        _read(suffix, SAMPLES[suffix](), Limits(**{cap: 20}))

    assert f"sample{suffix}" in caught.value.where
    assert caught.value.fix


def _hostile() -> dict[str, bytes]:
    noise = random.Random(7)
    return {
        "empty": b"",
        "white space": b" \n\t\n",
        "NUL bytes": b"\x00" * 300,
        "noise": noise.randbytes(4_000),
        "zip magic": b"PK\x03\x04" + noise.randbytes(400),
        "pdf magic": b"%PDF-1.7\n" + noise.randbytes(400),
        "lone surrogate": b"a \xed\xa0\x80 b",
        "half a mark": b"\xff\xfe\x41",
        "unclosed tags": b"<html><body><div><!-- " + b"<p>" * 500,
    }


@every_reader
@pytest.mark.parametrize("kind", sorted(_hostile()))
def test_hostile_bytes_give_an_extraction_or_a_source_error(suffix: str, kind: str) -> None:
    """This ensures that whatever the bytes are, nothing but a SourceError leaves a reader."""
    outcome = _outcome(suffix, _hostile()[kind])

    _check_outcome(outcome, suffix)


@every_reader
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_files_give_an_extraction_or_a_source_error(suffix: str, share: float) -> None:
    """This ensures that a file cut short never raises anything but a SourceError."""
    data = SAMPLES[suffix]()

    outcome = _outcome(suffix, data[: int(len(data) * share)])

    _check_outcome(outcome, suffix)


@every_reader
@pytest.mark.parametrize("other", [".txt", ".html", ".pdf", ".docx", ".epub"])
def test_a_file_with_the_wrong_ending_is_no_crash(suffix: str, other: str) -> None:
    """This ensures that a file that is not what its ending says is read soundly or refused."""
    outcome = _outcome(suffix, SAMPLES[other]())

    _check_outcome(outcome, suffix)


@pytest.mark.parametrize("suffix", [".txt", ".md"])
@pytest.mark.parametrize("other", [".pdf", ".docx", ".epub"])
def test_text_readers_refuse_binary_files(suffix: str, other: str) -> None:
    """This ensures that a renamed PDF or Word file is never read as if its bytes were prose."""
    with pytest.raises(SourceError, match="not text"):
        _read(suffix, SAMPLES[other]())


@pytest.mark.parametrize("suffix", [".txt", ".md"])
def test_text_of_text_files_is_the_decoded_file(suffix: str) -> None:
    """This ensures that offsets hold in the file itself: nothing but line ends is changed."""
    data = "\ufeff\n\n  Cafe\u0301 \u00a0 \r\nline\rtwo  \n\n\n".encode()

    extraction = _read(suffix, data)

    assert extraction.text == "\n\n  Cafe\u0301 \u00a0 \nline\ntwo  \n\n\n"
