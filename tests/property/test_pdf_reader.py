"""The PDF reader on bytes and drafts that hypothesis makes up."""

from __future__ import annotations

import io
from functools import cache

from hypothesis import example, given, settings
from hypothesis import strategies as st
from reportlab.pdfgen.canvas import Canvas

from ingest.assemble import TextBuilder, undo_repairs
from ingest.errors import SourceError
from ingest.limits import Limits
from ingest.model import BlockKind
from ingest.readers.pdf import read_pdf
from ingest.readers.pdf_blocks import Draft
from ingest.readers.pdf_columns import order_regions
from ingest.readers.pdf_joins import join_broken
from ingest.readers.pdf_lines import Fragment, Segment, build_segments
from ingest.readers.pdf_tables import Line
from ingest.readers.pdf_text import Vocabulary, build_piece, raw_text

# Characters with which lines break, meet or change.
_CHARS = st.sampled_from("abcAB1-\u2010\u2013\u2014/.:\u00ad\ufb01\ufb03\uf0b7\u6234 \U0010ff03é")
_TEXTS = st.text(_CHARS, min_size=1, max_size=12).map(lambda t: " ".join(t.split())).filter(bool)


@cache
def seed_pdf(compressed: bool) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=1, pageCompression=int(compressed))
    for page in range(3):
        canvas.drawString(72, 800, "Handbook")
        for row in range(12):
            canvas.drawString(72, 760 - 12 * row, f"People who stop feel it on day {row} of page {page} and")
            canvas.drawString(330, 760 - 12 * row, "it passes within a week for most of them.")
        canvas.line(60, 500, 500, 500)
        canvas.drawCentredString(300, 30, str(page + 1))
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


@st.composite
def mutated_pdfs(draw: st.DrawFn) -> bytes:
    data = bytearray(seed_pdf(draw(st.booleans())))
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, len(data) - 1))
        kind = draw(st.sampled_from(["set", "cut", "insert", "number"]))
        if kind == "set":
            data[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[at : at + draw(st.integers(1, 40))]
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=20))
        else:
            data[at : at + 1] = draw(st.sampled_from([b"0", b"-1", b"99999999999", b"<<", b"[", b"/", b"R"]))
    return bytes(data)


def read_safely(data: bytes) -> None:
    try:
        extraction = read_pdf(data, Limits(max_seconds=30), "x.pdf")
    except SourceError:
        return
    extraction.text.encode("utf-8")
    undo_repairs(extraction.text, extraction.repairs).encode("utf-8")
    assert [p.page for p in extraction.page_starts] == list(range(1, len(extraction.page_starts) + 1))
    offsets = [p.offset for p in extraction.page_starts]
    assert offsets == sorted(offsets)
    assert offsets[0] == 0
    for block in extraction.blocks:
        assert extraction.text[block.start : block.end].strip() == extraction.text[block.start : block.end]


@settings(max_examples=150, deadline=None)
@given(mutated_pdfs())
def test_mutated_files_give_a_document_or_a_source_error(data: bytes) -> None:
    """This ensures that no damage to a PDF raises anything but a SourceError or breaks an invariant."""
    read_safely(data)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
@example(b"")
@example(b"%PDF-")
def test_arbitrary_bytes(data: bytes) -> None:
    """This ensures that bytes dressed as a PDF at both ends are an error and no crash."""
    read_safely(data)
    read_safely(b"%PDF-1.4\n" + data + b"\nstartxref\n9\n%%EOF")


@st.composite
def drafts(draw: st.DrawFn) -> list[Draft]:
    made: list[Draft] = []
    page = 1
    for _ in range(draw(st.integers(1, 8))):
        page += draw(st.sampled_from([0, 0, 1, 2]))
        texts = draw(st.lists(_TEXTS, min_size=1, max_size=4))
        lines = [Line(t, 72, 72 + 5.0 * len(t), 700 - 12.0 * i, 10, page) for i, t in enumerate(texts)]
        rule = draw(st.sampled_from(["", "", "", "page_number", "running_header"]))
        if draw(st.integers(0, 6)) == 0:
            made.append(Draft(BlockKind.TABLE_ROW, page, cells=tuple((line,) for line in lines)))
        else:
            made.append(Draft(BlockKind.PARAGRAPH, page, lines, x0=72, x1=130, furniture=rule))
        made[-1].opens_region, made[-1].closes_region = draw(st.booleans()), draw(st.booleans())
    return made


@settings(max_examples=300, deadline=None)
@given(drafts())
def test_undoing_all_repairs_gives_the_raw_extraction(made: list[Draft]) -> None:
    """This ensures that no character of the page is lost: the lines as laid out can always be rebuilt."""
    n_lines = sum(len(d.lines) for d in made)
    joined = [d for d in join_broken(made) if d.raw.replace("\u00ad", "").strip()]
    vocabulary = Vocabulary([d.lines for d in joined])
    builder = TextBuilder()
    page = 0
    for draft in joined:
        piece = build_piece(draft, vocabulary, page)
        page = max([page, *(number for _, number in piece.page_starts)])
        builder.add(piece)
    extraction = builder.finish()

    assert undo_repairs(extraction.text, extraction.repairs) == raw_text(joined)
    kept = sum(len(d.lines) + sum(len(r.lines) for rows in d.removed.values() for r in rows) for d in joined)
    assert kept <= n_lines
    assert "\u00ad" not in extraction.text


_NUMBERS = st.floats(-50, 650, allow_nan=False)
_FRAGMENTS = st.builds(
    lambda text, x, w, y, size: Fragment(text, x, x + w, y, size),
    st.text("abcdefgh ", min_size=1, max_size=12).filter(str.strip),
    _NUMBERS,
    st.floats(0.1, 300),
    _NUMBERS,
    st.sampled_from([5.0, 7.0, 10.0, 10.0, 10.0, 24.0]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_FRAGMENTS, max_size=40))
def test_layout_loses_and_doubles_no_character(fragments: list[Fragment]) -> None:
    """This ensures that every printed character is in exactly one segment and every segment in exactly one region."""
    segments = build_segments(fragments)
    regions, _ = order_regions(segments)

    placed = [s for region in regions for s in region.segments]
    assert sorted(map(id, placed)) == sorted(map(id, segments))
    shown = {f.text.strip() for f in fragments}
    assert set("".join(s.text for s in segments)) - {" "} == set("".join(shown)) - {" "}


@given(
    st.lists(st.builds(Segment, _TEXTS, _NUMBERS, _NUMBERS, _NUMBERS, st.just(10.0), st.integers(0, 99)), max_size=12)
)
@settings(max_examples=100, deadline=None)
def test_order_is_deterministic(segments: list[Segment]) -> None:
    """This ensures that the same segments always give the same reading order."""
    assert order_regions(segments)[0] == order_regions(segments)[0]
