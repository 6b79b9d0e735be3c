"""
PDF bytes to an Extraction. Opens the file, keeps its caps, words its errors; layout and text are made in pdf_*.py.

pypdf can raise almost anything on a broken file: `_guarded` is the one place that catches broadly, and it turns what
it catches into a SourceError.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pypdf import PasswordType, PdfReader, apply_configuration
from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError

from ingest.assemble import Piece, TextBuilder
from ingest.errors import MalformedSource, NoTextLayer, ProtectedSource, SourceError, SourceTooLarge
from ingest.limits import Limits
from ingest.model import BlockKind, Extraction
from ingest.readers.deadline import Deadline
from ingest.readers.pdf_blocks import Draft
from ingest.readers.pdf_content import PageContent, read_page
from ingest.readers.pdf_fonts import UNREADABLE, FontTable, clean_characters
from ingest.readers.pdf_lines import Fragment, build_segments
from ingest.readers.pdf_metadata import read_metadata
from ingest.readers.pdf_pages import PageLayout, draft_document
from ingest.readers.pdf_quiet import collect_logs
from ingest.readers.pdf_text import Vocabulary, build_piece
from ingest.readers.pdf_warnings import PageNotes

_HEAD_BYTES = 1_024  # within which the signature stands (PDF 32000-1, annex H, note 13)
_TAIL_BYTES = 2_048  # within which the end mark stands; twice what Acrobat asks for
_MAX_STREAM_BYTES = 75_000_000  # pypdf's own default for one stream
_MANY_CURVES = 200  # a page of text turned into outlines has thousands, a ruled form none

T = TypeVar("T")


def read_pdf(data: bytes, limits: Limits, where: str) -> Extraction:
    """
    Return the text of a PDF with its blocks, repairs, pages, properties and warnings.

    Args:
        data: the whole file.
        limits: caps on bytes, pages, unpacked bytes, characters and seconds.
        where: names the file in errors.

    Raises:
        MalformedSource: not a PDF, truncated, broken inside.
        ProtectedSource: needs a password.
        NoTextLayer: no page has text that can be quoted.
        SourceTooLarge: over a cap.
    """
    if len(data) > limits.max_bytes:
        raise _too_large(f"{len(data)} bytes, the cap is {limits.max_bytes}", where)
    _check_ends(data, where)
    stream_cap = min(_MAX_STREAM_BYTES, limits.max_unpacked_bytes)
    with (
        collect_logs("pypdf") as logged,
        apply_configuration(
            zlib_maximum_output_length=stream_cap,
            lzw_maximum_output_length=stream_cap,
            run_length_maximum_output_length=stream_cap,
            brotli_maximum_output_length=stream_cap,
            array_based_stream_maximum_output_length=stream_cap,
            maximum_declared_stream_length=_MAX_STREAM_BYTES,
            jbig2dec_binary=None,  # no outside program is ever run on a document
        ),
    ):
        return _guarded(lambda: _Reading(data, limits, where, logged).read(), where)


def _check_ends(data: bytes, where: str) -> None:
    if b"%PDF-" not in data[:_HEAD_BYTES]:
        raise MalformedSource(
            "this is not a PDF: its first bytes are not %PDF-",
            where=where,
            fix="give the file the ending that fits what it is, or export it as PDF again",
        )
    tail = data.rstrip(b"\0\r\n\t ")[-_TAIL_BYTES:]
    if b"%%EOF" not in tail and b"startxref" not in tail:
        raise MalformedSource(
            "the PDF is cut off: its end mark %%EOF is missing", where=where, fix="copy or download the file again"
        )


def _too_large(what: str, where: str) -> SourceTooLarge:
    return SourceTooLarge(what, where=where, fix="split the file into smaller ones, or raise the cap")


def _guarded(read: Callable[[], T], where: str) -> T:
    """Return what `read` returns; whatever a library raises in it becomes a SourceError."""
    try:
        return read()
    except SourceError:
        raise
    except (FileNotDecryptedError, DependencyError) as error:
        raise _protected(where) from error
    except (LimitReachedError, MemoryError) as error:
        raise _too_large(f"unpacking it passes a cap: {str(error)[:120] or 'out of memory'}", where) from error
    # On mutated files pypdf was seen to raise its own errors and AttributeError, AssertionError, KeyError, TypeError,
    # ValueError, IndexError, RecursionError, zlib.error, struct.error, OverflowError, binascii.Error and more; any of
    # them means that the file is broken. Its text is not shown: it may hold parts of the file.
    except Exception as error:
        raise MalformedSource(
            f"the PDF is broken inside ({type(error).__name__})",
            where=where,
            fix="open it in a PDF viewer and save or print it as a new PDF",
        ) from error


def _protected(where: str) -> ProtectedSource:
    return ProtectedSource(
        "the PDF is encrypted and needs a password", where=where, fix="save a copy without a password"
    )


class _Reading:
    """One file being read."""

    def __init__(self, data: bytes, limits: Limits, where: str, logged: list[str]) -> None:
        self._data = data
        self._limits = limits
        self._where = where
        self._logged = logged
        self._deadline = Deadline(limits.max_seconds, where)
        self._notes = PageNotes()
        self._unpacked_bytes = 0
        self._n_chars = 0

    def read(self) -> Extraction:
        """Return the extraction."""
        reader = self._open()
        n_pages = self._count_pages(reader)
        layouts = self._read_pages(reader)
        drafts = draft_document(layouts, self._deadline.check)
        self._note_bare_pages(drafts)
        if not any(not draft.furniture for draft in drafts):
            raise self._no_text(n_pages, bool(drafts))
        return self._build(drafts, n_pages, _guarded(lambda: _properties(reader), self._where))

    def _open(self) -> PdfReader:
        reader = PdfReader(io.BytesIO(self._data))
        if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
            raise _protected(self._where)
        return reader

    def _count_pages(self, reader: PdfReader) -> int:
        tree: Any = reader.root_object.get("/Pages")
        tree = tree.get_object() if tree is not None else {}
        announced = tree.get("/Count") if isinstance(tree, dict) else None
        announced = announced if isinstance(announced, int) else 0
        n_pages = announced if announced > self._limits.max_pages else len(reader.pages)
        if n_pages > self._limits.max_pages:
            raise _too_large(f"{n_pages} pages, the cap is {self._limits.max_pages}", self._where)
        if n_pages == 0:
            raise MalformedSource("the PDF has no pages", where=self._where, fix="export it again")
        if announced > n_pages:
            self._notes.document(f"the file announces {announced} pages, {n_pages} were found")
        if any("xref" in line.lower() or "startxref" in line.lower() for line in self._logged):
            self._notes.document("the file's list of objects is broken and was rebuilt; parts may be missing")
        return n_pages

    def _read_pages(self, reader: PdfReader) -> list[PageLayout]:
        fonts: dict[object, FontTable] = {}
        layouts: list[PageLayout] = []
        first_error: MalformedSource | None = None
        for index in range(len(reader.pages)):
            number = index + 1
            self._deadline.check()
            self._logged.clear()
            try:
                content = _guarded(
                    lambda index=index: read_page(reader.pages[index], reader, fonts, self._check),  # type: ignore[misc]
                    f"{self._where}, page {number}",
                )
            except MalformedSource as error:
                # One broken page of a book is reported, not the end of the book.
                first_error = first_error or error
                self._notes.page(number, "broken")
                content = PageContent(612.0, 792.0)
            layouts.append(self._lay_out(number, content))
        if first_error is not None and not any(layout.segments for layout in layouts):
            raise first_error
        return layouts

    def _check(self, page_bytes: int) -> None:
        self._deadline.check()
        total = self._unpacked_bytes + page_bytes
        if total > self._limits.max_unpacked_bytes:
            raise _too_large(
                f"{total} unpacked bytes of page contents, the cap is {self._limits.max_unpacked_bytes}", self._where
            )

    def _lay_out(self, number: int, content: PageContent) -> PageLayout:
        self._unpacked_bytes += content.unpacked_bytes
        shown = [f for f in content.fragments if _is_on_page(f, content)]
        self._n_chars += sum(len(f.text) for f in shown)
        if self._n_chars > self._limits.max_text_chars:
            raise _too_large(f"over {self._limits.max_text_chars} characters, which is the cap", self._where)
        n_chars = sum(len(f.text.strip()) for f in shown)
        n_unreadable = sum(f.text.count(UNREADABLE) for f in shown)
        n_hidden = sum(len(f.text.strip()) for f in shown if f.is_hidden)
        if n_unreadable:
            self._notes.page(number, "unreadable" if 5 * n_unreadable > n_chars else "some_unreadable")
        if n_chars and 2 * n_hidden > n_chars:
            self._notes.page(number, "recognised")
        if content.n_images:
            self._notes.pictured.add(number)
        elif not n_chars and content.n_curves > _MANY_CURVES:
            self._notes.page(number, "outlines")
        if any("decompress" in line or "stream" in line.lower() for line in self._logged):
            self._notes.page(number, "damaged")
        if any("encoding" in line.lower() for line in self._logged):
            self._notes.page(number, "encoding")
        segments = tuple(build_segments(shown, self._deadline.check))
        return PageLayout(number, content.width, content.height, segments, tuple(content.rules))

    def _note_bare_pages(self, drafts: list[Draft]) -> None:
        """Note the pages that show pictures and nothing that could be quoted."""
        quotable = {line.page for d in drafts if not d.furniture for line in d.lines}
        quotable |= {d.page for d in drafts if d.cells}
        stamped = {d.page for d in drafts if d.furniture}
        for number in sorted(self._notes.pictured - quotable):
            self._notes.page(number, "image_and_furniture" if number in stamped else "image")

    def _no_text(self, n_pages: int, has_unreadable: bool) -> NoTextLayer:
        if self._notes.pictured:
            what = f"none of its {n_pages} pages has text: they are images"
            fix = "run text recognition (OCR) over it, check the result, and save it with its text layer"
        elif has_unreadable:
            what = "nothing in it can be quoted: its fonts do not say which characters they show"
            fix = "export it again with its text, or run text recognition (OCR) over it"
        else:
            what = f"none of its {n_pages} pages has text"
            fix = "remove the file, or export it again with its text"
        return NoTextLayer(what, where=self._where, fix=fix)

    def _build(self, drafts: list[Draft], n_pages: int, metadata: dict[str, object]) -> Extraction:
        vocabulary = Vocabulary([d.lines for d in drafts if d.lines and not d.furniture])
        builder = TextBuilder()
        page = 0
        for draft in drafts:
            piece = build_piece(draft, vocabulary, page)
            page = max([page, *(number for _, number in piece.page_starts)])
            builder.add(piece)
        if page < n_pages:
            starts = tuple((0, number) for number in range(page + 1, n_pages + 1))
            builder.add(Piece(text="", kind=BlockKind.PARAGRAPH, page_starts=starts))
        extraction = builder.finish(metadata, self._notes.sentences())
        extraction.text.encode("utf-8")  # a lone surrogate would be this reader's fault, and fail here and not later
        return extraction


def _is_on_page(fragment: Fragment, content: PageContent) -> bool:
    """Tell whether a fragment is visible: what lies beside the page is printer's marks."""
    if fragment.angle:
        return True
    return (
        fragment.x1 >= -2
        and fragment.x0 <= content.width + 2
        and fragment.y + fragment.size >= -2
        and fragment.y <= content.height + 2
    )


def _properties(reader: PdfReader) -> dict[str, object]:
    """Return the metadata; a broken dictionary is no reason to refuse the text."""
    info: Any = reader.trailer.get("/Info")
    info = info.get_object() if info is not None else None
    resolved: dict[str, object] = {}
    if isinstance(info, Mapping):
        for key in ("/Title", "/Author", "/CreationDate"):
            value: Any = info.get(key)
            resolved[key] = value.get_object() if hasattr(value, "get_object") else value
    language: Any = reader.root_object.get("/Lang")
    language = language.get_object() if hasattr(language, "get_object") else language
    return read_metadata(resolved, language, _clean_property)


def _clean_property(text: str) -> str:
    return clean_characters(re.sub(r"[\x00-\x1f]+", " ", text))
