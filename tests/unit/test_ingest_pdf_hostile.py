"""Broken, hostile and protected PDFs: a clear SourceError or a reported warning, never anything else."""

from __future__ import annotations

import io
import time
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from pypdf import PdfReader, PdfWriter
from reportlab.pdfgen.canvas import Canvas

from ingest.errors import MalformedSource, NoTextLayer, ProtectedSource, SourceError, SourceTooLarge
from ingest.limits import Limits
from ingest.readers.pdf import read_pdf

LIMITS = Limits()


def make_pdf(*pages: Callable[[Canvas], None]) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=1)
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def a_line(canvas: Canvas) -> None:
    canvas.drawString(72, 700, "Naloxone reverses an overdose.")


def an_image(canvas: Canvas) -> None:
    canvas.drawInlineImage(_picture(), 72, 300, 200, 200)


def _picture() -> object:
    from PIL import Image

    return Image.new("L", (8, 8), 128)


def raw_pdf(objects: dict[int, bytes], trailer: bytes = b"") -> bytes:
    """Write numbered objects with a right cross-reference table; object 1 is the catalogue."""
    out = bytearray(b"%PDF-1.7\n")
    offsets = {}
    for number, body in objects.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    size = max(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % size
    for number in range(1, size):
        out += b"%010d 00000 n \n" % offsets.get(number, 0)
    out += b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, start)
    return bytes(out)


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), entries, data)


def one_page(content: bytes, resources: bytes, more: dict[int, bytes] | None = None) -> bytes:
    return raw_pdf(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources %s >>" % resources,
            4: content,
            5: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
            **(more or {}),
        }
    )


@pytest.mark.parametrize("data", [b"", b"%PD", b"hello, this is text\n" * 100, b"PK\x03\x04" + bytes(500)])
def test_what_is_not_a_pdf_is_refused_by_name(data: bytes) -> None:
    """This ensures that other bytes behind a .pdf ending are called what they are: not a PDF."""
    with pytest.raises(MalformedSource, match="not a PDF") as caught:
        read_pdf(data, LIMITS, "guide.pdf")

    assert caught.value.where == "guide.pdf"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_file_is_refused(share: float) -> None:
    """This ensures that half a download is an error and not half a document."""
    data = make_pdf(a_line, a_line, a_line)

    with pytest.raises(MalformedSource, match="cut off"):
        read_pdf(data[: int(len(data) * share)], LIMITS, "guide.pdf")


def test_an_empty_user_password_is_no_obstacle() -> None:
    """This ensures that a file which every viewer opens without asking is read."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(make_pdf(a_line))))
    writer.encrypt("", owner_password="owner", algorithm="AES-256")
    buffer = io.BytesIO()
    writer.write(buffer)

    extraction = read_pdf(buffer.getvalue(), LIMITS, "guide.pdf")

    assert extraction.text == "Naloxone reverses an overdose."


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_a_real_password_is_reported_as_protection(algorithm: str) -> None:
    """This ensures that a file which needs a password says so instead of coming out empty."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(make_pdf(a_line))))
    writer.encrypt("secret", algorithm=algorithm)
    buffer = io.BytesIO()
    writer.write(buffer)

    with pytest.raises(ProtectedSource, match="password"):
        read_pdf(buffer.getvalue(), LIMITS, "guide.pdf")


def test_a_scanned_page_among_others_is_a_warning() -> None:
    """This ensures that a page without a text layer never vanishes in silence."""
    extraction = read_pdf(make_pdf(a_line, a_line, an_image, a_line), LIMITS, "guide.pdf")

    assert extraction.warnings == ("page 3 has images and no text",)
    assert [start.page for start in extraction.page_starts] == [1, 2, 3, 4]


def test_a_scanned_file_has_no_text_layer() -> None:
    """This ensures that a scan is refused with the advice to run text recognition."""
    with pytest.raises(NoTextLayer, match="images") as caught:
        read_pdf(make_pdf(an_image, an_image), LIMITS, "scan.pdf")

    assert "OCR" in caught.value.fix


def test_blank_pages_alone_have_no_text_layer() -> None:
    """This ensures that a file of empty pages is not an empty document."""
    with pytest.raises(NoTextLayer, match="none of its 2 pages has text"):
        read_pdf(make_pdf(lambda c: None, lambda c: None), LIMITS, "blank.pdf")


def test_too_many_pages_are_refused_before_they_are_read() -> None:
    """This ensures that a 5,000-page file costs next to nothing."""
    data = make_pdf(*[a_line] * 5_000)
    start = time.perf_counter()

    with pytest.raises(SourceTooLarge, match="5000 pages, the cap is 3000"):
        read_pdf(data, LIMITS, "phone-book.pdf")

    assert time.perf_counter() - start < 5  # reading all of it takes half a minute


def test_the_page_cap_does_not_trust_the_announced_count() -> None:
    """This ensures that a page tree with a false count is counted."""
    data = make_pdf(*[a_line] * 12).replace(b"/Count 12", b"/Count 1 ")

    with pytest.raises(SourceTooLarge, match="12 pages, the cap is 10"):
        read_pdf(data, replace(LIMITS, max_pages=10), "guide.pdf")


def test_time_is_checked_between_pages() -> None:
    """This ensures that a slow file ends with the time cap and not with the editor's patience."""
    with pytest.raises(SourceTooLarge, match="seconds"):
        read_pdf(make_pdf(a_line, a_line), replace(LIMITS, max_seconds=0.0), "guide.pdf")


def test_size_caps_name_both_numbers() -> None:
    """This ensures that an editor sees by how much a file is too large."""
    data = make_pdf(a_line)

    with pytest.raises(SourceTooLarge, match=f"{len(data)} bytes, the cap is 100"):
        read_pdf(data, replace(LIMITS, max_bytes=100), "guide.pdf")
    with pytest.raises(SourceTooLarge, match="over 5 characters"):
        read_pdf(data, replace(LIMITS, max_text_chars=5), "guide.pdf")
    with pytest.raises(SourceTooLarge, match="passes a cap"):
        read_pdf(data, replace(LIMITS, max_unpacked_bytes=20), "guide.pdf")


def test_a_decompression_bomb_is_stopped() -> None:
    """This ensures that a page of 400 MB of blanks packed into 400 kB does not fill the memory."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b" " * 4_000_000) for _ in range(100)) + packer.flush()
    data = one_page(stream(packed, b"/Filter /FlateDecode"), b"<< /Font << /F1 5 0 R >> >>")

    with pytest.raises(SourceTooLarge, match="cap"):
        read_pdf(data, LIMITS, "bomb.pdf")


def test_a_content_stream_of_endless_operators_is_stopped() -> None:
    """This ensures that a page of endless operators that draw nothing ends with a cap."""
    packed = zlib.compress(b"q Q " * 200_000, 9)
    data = one_page(stream(packed, b"/Filter /FlateDecode"), b"<< >>")

    with pytest.raises(SourceTooLarge, match="cap"):
        read_pdf(data, replace(LIMITS, max_unpacked_bytes=100_000), "bomb.pdf")


def test_a_broken_cross_reference_table_is_repaired_and_reported() -> None:
    """This ensures that a file which viewers can mend is read, with a warning that parts may be missing."""
    data = make_pdf(a_line)
    at = data.rindex(b"startxref")
    broken = data[:at] + b"startxref\n7\n%%EOF\n"

    extraction = read_pdf(broken, LIMITS, "guide.pdf")

    assert extraction.text == "Naloxone reverses an overdose."
    assert any("rebuilt" in warning for warning in extraction.warnings)


def test_missing_pages_are_reported() -> None:
    """This ensures that a page tree with fewer pages than it announces does not pass in silence."""
    data = make_pdf(a_line, a_line).replace(b"/Count 2", b"/Count 9")

    extraction = read_pdf(data, LIMITS, "guide.pdf")

    assert "the file announces 9 pages, 2 were found" in extraction.warnings


def test_a_cyclic_page_tree_ends() -> None:
    """This ensures that a page tree that holds itself is a malformed file."""
    data = raw_pdf(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [3 0 R] /Count 2 >>",
            3: b"<< /Type /Pages /Kids [2 0 R] /Count 2 /Parent 2 0 R >>",
        }
    )

    with pytest.raises(SourceError):
        read_pdf(data, LIMITS, "cycle.pdf")


def test_cyclic_forms_end_and_their_text_comes_once() -> None:
    """This ensures that a form that draws itself neither loops nor doubles its text."""
    form = stream(
        b"BT /F1 12 Tf 50 700 Td (Call for help.) Tj ET /X1 Do",
        b"/Type /XObject /Subtype /Form /BBox [0 0 600 800] /Resources << "
        b"/Font << /F1 5 0 R >> /XObject << /X1 6 0 R >> >>",
    )
    data = one_page(stream(b"/X1 Do"), b"<< /XObject << /X1 6 0 R >> >>", {6: form})

    extraction = read_pdf(data, LIMITS, "cycle.pdf")

    assert extraction.text == "Call for help."


def test_forms_that_multiply_are_stopped() -> None:
    """This ensures that ten forms that each draw the next ten times end with a cap (a billion laughs)."""
    forms = {
        6 + level: stream(
            b"/X Do " * 10,
            b"/Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X %d 0 R >> >>" % (7 + level),
        )
        for level in range(10)
    }
    forms[16] = stream(b"q Q", b"/Subtype /Form /BBox [0 0 9 9]")
    data = one_page(stream(b"/X Do"), b"<< /XObject << /X 6 0 R >> >>", forms)

    with pytest.raises(SourceTooLarge):
        read_pdf(data, LIMITS, "laughs.pdf")


def test_deeply_nested_arrays_are_malformed() -> None:
    """This ensures that nesting made to exhaust the stack is an error about the file."""
    data = one_page(stream(b"[" * 50_000), b"<< /Font << /F1 5 0 R >> >>")

    with pytest.raises(SourceError):
        read_pdf(data, LIMITS, "deep.pdf")


def test_one_broken_page_is_left_out_and_reported() -> None:
    """This ensures that one bad page does not cost the book, and is named."""
    pages = [a_line, a_line, a_line]
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=1, pageCompression=0)
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    data = buffer.getvalue()
    second = data.index(b"(Naloxone", data.index(b"(Naloxone") + 1)
    broken = data[: second - 4] + b"<zz " + data[second:]

    extraction = read_pdf(broken, LIMITS, "guide.pdf")

    assert extraction.text.count("Naloxone") == 2
    assert any(w.startswith("page 2 is broken") for w in extraction.warnings)


def _with_unicode_map(pairs: bytes, shown: bytes) -> bytes:
    cmap = (
        b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <FF> endcodespacerange\n"
        b"%d beginbfchar\n%s\nendbfchar endcmap end" % (pairs.count(b"\n") + 1, pairs)
    )
    font = (
        b"<< /Type /Font /Subtype /TrueType /BaseFont /Odd /ToUnicode 7 0 R /FirstChar 0 /LastChar 255 /Widths [%s] >>"
    )
    widths = b" ".join([b"500"] * 256)
    content = b"BT /F1 12 Tf 50 700 Td (%s) Tj ET" % shown
    return one_page(stream(content), b"<< /Font << /F1 6 0 R >> >>", {6: font % widths, 7: stream(cmap)})


def test_surrogates_and_controls_never_enter_the_text() -> None:
    """This ensures that a font's map can't put NULs, controls or lone surrogates into a document."""
    data = _with_unicode_map(
        b"<61> <D83D>\n<62> <0000>\n<63> <0007>\n<64> <0064>\n<65> <FFFE>", b"dabcde dddddddddddddddddddd"
    )

    extraction = read_pdf(data, LIMITS, "odd.pdf")

    assert extraction.text == "d\ufffd\ufffd\ufffdd\ufffd dddddddddddddddddddd"
    assert extraction.text.encode("utf-8")
    assert any("can't be read" in warning for warning in extraction.warnings)


def test_a_surrogate_pair_is_its_character() -> None:
    """This ensures that characters beyond the basic plane are read."""
    data = _with_unicode_map(b"<61> <D83DDC9A>", b"a")

    assert read_pdf(data, LIMITS, "odd.pdf").text == "\U0001f49a"


def test_a_font_without_a_unicode_map_gives_no_wrong_text() -> None:
    """This ensures that glyph numbers are never served as if they were characters."""
    font = (
        b"<< /Type /Font /Subtype /Type0 /BaseFont /Cut /Encoding /Identity-H /DescendantFonts "
        b"[<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Cut /DW 500 "
        b"/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>] >>"
    )
    content = b"BT /F1 12 Tf 50 700 Td <002400250026002700280029> Tj ET"
    data = one_page(stream(content), b"<< /Font << /F1 6 0 R >> >>", {6: font})

    with pytest.raises(NoTextLayer, match="fonts do not say"):
        read_pdf(data, LIMITS, "cut.pdf")


def test_nothing_is_logged_or_warned(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that the library's own complaints stay out of the user's sight."""
    data = make_pdf(a_line)
    broken = data[: data.rindex(b"startxref")] + b"startxref\n7\n%%EOF\n"

    read_pdf(broken, LIMITS, "guide.pdf")

    assert caplog.records == []
    assert capsys.readouterr() == ("", "")


def test_page_contents_of_odd_types_are_no_crash() -> None:
    """This ensures that operands of the wrong kind are skipped and what is right is read."""
    content = (
        b"/F1 Tf BT (x) Td [1 2 ] Tm /F1 12 Tf 1 0 0 1 50 700 Tm (Stay with the person.) Tj "
        b"(a) Tw << >> Tc 12 TL T* ' EMC /Nope Do Q Q Q ET"
    )
    data = one_page(stream(content), b"<< /Font << /F1 5 0 R >> >>")

    assert read_pdf(data, LIMITS, "odd.pdf").text == "Stay with the person."
