"""Operators of a content stream to fragments and lines: spacing, fonts, marked content."""

from __future__ import annotations

import io

import pytest
from reportlab.pdfgen.canvas import Canvas

from ingest.assemble import undo_repairs
from ingest.limits import Limits
from ingest.model import Extraction
from ingest.readers.pdf import read_pdf
from ingest.readers.pdf_fonts import clean_characters
from ingest.readers.pdf_lines import Fragment, build_segments


def read_operators(operators: str, extra: bytes = b"") -> Extraction:
    """Read one page whose content stream is `operators`; /F1 is Helvetica, /F2 Helvetica-Bold."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Lang (en-GB) >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 600 800] >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R /F2 6 0 R >> %s >> >>" % extra,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(operators.encode("latin-1")), operators.encode("latin-1")),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    out = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 7\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size 7 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start
    return read_pdf(bytes(out), Limits(), "test.pdf")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("[(W)80(ithdr)-20(aw)30(al)-280(be)15(gins)-250(early.)] TJ", "Withdrawal begins early."),
        ("[(H)-200(E)-200(L)-200(P)-700(N)-200(O)-200(W)] TJ", "HELP NOW"),
        ("3 Tc (HELP) Tj", "HELP"),
        ("20 Tw (Call for help.) Tj", "Call for help."),
        ("(Call ) Tj (for help.) Tj", "Call for help."),
        ("(Ca) Tj (ll) Tj ( for) Tj 40 0 Td (help.) Tj", "Call for help."),
        ("50 Tz (Call) Tj 14 0 Td (now.) Tj", "Call now."),
        ("(One) Tj (two) ' 0 0 (three.) \"", "One two three."),
        ("(\\225 first) Tj", "• first"),
        ("(\\177 first) Tj", "• first"),
        ("(na\\357ve \\223quoted\\224) Tj", "naïve “quoted”"),
        ("(a\\240b) Tj", "a b"),
    ],
)
def test_showing_text(shown: str, expected: str) -> None:
    """This ensures that kerning joins, gaps part, and codes become the characters that are printed."""
    assert read_operators(f"BT /F1 12 Tf 14 TL 50 700 Td {shown} ET").text == expected


def test_glyph_by_glyph_placement() -> None:
    """This ensures that text of which each letter is placed alone comes out as words."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=1)
    x = 72.0
    for char in "Stay with the person.":
        if char != " ":
            canvas.drawString(x, 700, char)
        x += canvas.stringWidth(char)
    canvas.save()

    assert read_pdf(buffer.getvalue(), Limits(), "test.pdf").text == "Stay with the person."


def test_text_printed_twice_to_look_bold_is_read_once() -> None:
    """This ensures that an imitation of bold type does not double its words."""
    operators = "BT /F1 12 Tf 50 700 Td (Call now.) Tj 0.3 0 Td (Call now.) Tj ET"

    assert read_operators(operators).text == "Call now."


def test_superscripts_and_subscripts_stay_in_their_line() -> None:
    """This ensures that a raised digit neither leaves its line nor becomes a digit of the number before it."""
    operators = (
        "BT /F1 12 Tf 50 700 Td (A count of 10) Tj 7 Tf /F1 7 Tf 5 Ts (3) Tj 0 Ts /F1 12 Tf ( cells and H) Tj "
        "/F1 7 Tf -3 Ts (2) Tj 0 Ts /F1 12 Tf (O.) Tj ET"
    )

    extraction = read_operators(operators)

    assert extraction.text == "A count of 10³ cells and H2O."
    assert undo_repairs(extraction.text, extraction.repairs) == "A count of 103 cells and H2O."


def test_a_drop_cap_belongs_to_its_word() -> None:
    """This ensures that a large initial is the first letter of the first line."""
    operators = (
        "BT /F1 36 Tf 50 690 Td (W) Tj ET BT /F1 10 Tf 12 TL 87 708 Td (ithdrawal is hard and begins early) Tj "
        "T* (for people who use every day.) Tj ET BT /F1 10 Tf 50 684 Td (The third line is at the margin.) Tj ET"
    )

    assert read_operators(operators).text.startswith("Withdrawal is hard and begins early for people")


def test_replacement_text_is_used() -> None:
    """This ensures that /ActualText, with which writers mark ligatures and broken words, replaces the glyphs."""
    operators = "BT /F1 12 Tf 50 700 Td (the ) Tj /Span << /ActualText (first) >> BDC (\\001rst) Tj EMC ( dose) Tj ET"

    assert read_operators(operators).text == "the first dose"


def test_tagged_artifacts_are_furniture() -> None:
    """This ensures that a header which the file itself tags is known on a single page."""
    operators = (
        "/Artifact << /Type /Pagination /Subtype /Header >> BDC BT /F1 9 Tf 50 770 Td (Handbook) Tj ET EMC "
        "BT /F1 12 Tf 50 700 Td (Call for help.) Tj ET"
    )

    extraction = read_operators(operators)

    assert [(b.furniture, extraction.text[b.start : b.end]) for b in extraction.blocks] == [
        ("running_header", "Handbook"),
        ("", "Call for help."),
    ]


def test_text_beside_the_page_is_left_out() -> None:
    """This ensures that printer's marks beyond the page's edge are not quoted."""
    operators = "BT /F1 12 Tf 50 700 Td (Call for help.) Tj ET BT /F1 12 Tf 50 -60 Td (guide.indd 3) Tj ET"

    assert read_operators(operators).text == "Call for help."


def test_an_invisible_layer_is_read_with_a_warning() -> None:
    """This ensures that text recognised from a scan is used, and its origin told."""
    extraction = read_operators("BT 3 Tr /F1 12 Tf 50 700 Td (Call for help.) Tj ET")

    assert extraction.text == "Call for help."
    assert "invisible text layer" in extraction.warnings[0]


def test_a_flipped_coordinate_system() -> None:
    """This ensures that pages drawn from the top down are read from the top down."""
    operators = (
        "1 0 0 -1 0 800 cm BT /F1 12 Tf 1 0 0 -1 50 100 Tm (First line of it) Tj ET "
        "BT /F1 12 Tf 1 0 0 -1 50 114 Tm (and the second.) Tj ET"
    )

    assert read_operators(operators).text == "First line of it and the second."


def test_the_language_is_metadata() -> None:
    """This ensures that the catalogue's language reaches the metadata."""
    assert read_operators("BT /F1 12 Tf 50 700 Td (Help.) Tj ET").metadata == {"language": "en-GB"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\u00a0b\u2003c", "a b c"),
        ("\ud83d\udc9a", "\U0001f49a"),
        ("\ud83d", "\ufffd"),
        ("a\x00\x07\x9f", "a\ufffd\ufffd\ufffd"),
        ("\ufffe\U0001ffff\ufdd0", "\ufffd\ufffd\ufffd"),
        ("a\u200b\ufeffb", "ab"),
        ("\U0010ff03", "\ufffd"),
        ("é ﬁ 你", "é ﬁ 你"),
    ],
)
def test_characters_that_may_enter(text: str, expected: str) -> None:
    """This ensures that blanks are spaces and nothing unprintable is let in."""
    assert clean_characters(text) == expected


def test_right_to_left_lines_are_in_reading_order() -> None:
    """This ensures that Hebrew, which a page shows from left to right as it looks, is read from the right."""
    fragments = [
        Fragment("םולש", 100, 130, 700, 10),
        Fragment("3", 134, 140, 700, 10),
        Fragment("רפס", 144, 170, 700, 10),
    ]

    assert [s.text for s in build_segments(fragments)] == ["ספר 3 שלום"]
