"""
One page's content stream to positioned fragments. Interprets operators; judges no layout and joins no lines.

pypdf's own text extraction, visitor included, glues what stands on one line across a column gutter before anyone sees
its position, and pdfminer.six was ten times slower (30 against 310 pages/s on 209 generated pages) and unpacks streams
without a cap; hence this interpreter over pypdf's parsed operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pypdf import PageObject, PdfReader
from pypdf.errors import LimitReachedError
from pypdf.generic import ContentStream, DictionaryObject, IndirectObject, StreamObject

from ingest.readers.pdf_fonts import FontTable
from ingest.readers.pdf_geometry import IDENTITY, Matrix, display_frame, floats, multiply, resolve, to_matrix, turned
from ingest.readers.pdf_lines import Fragment, Rule
from ingest.readers.pdf_marks import Marks
from ingest.readers.pdf_strokes import CURVES, STROKE_OPERATORS, Strokes

# A gap of this share of the font size is a space. Word gaps are 0.2 to 0.3, kerning stays under 0.1.
WORD_GAP_EM = 0.15
# From here on a gap may be a gutter or a table's: the run ends, layout decides.
RUN_GAP_EM = 0.7
_MAX_FORM_DEPTH = 16
_MAX_FORMS_PER_PAGE = 5_000
_CHECK_EVERY = 2_000  # operators between two looks at the clock


@dataclass(slots=True)
class PageContent:
    """What one page shows: fragments in drawing order, horizontal strokes, and how much there is besides text."""

    width: float
    height: float
    fragments: list[Fragment] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    n_images: int = 0
    n_curves: int = 0
    unpacked_bytes: int = 0


@dataclass(slots=True)
class _State:
    """Graphics and text state that q saves and Q restores."""

    ctm: Matrix
    font: FontTable | None = None
    size: float = 1.0
    char_spacing: float = 0.0
    word_spacing: float = 0.0
    stretch: float = 1.0
    leading: float = 0.0
    rise: float = 0.0
    mode: int = 0

    def copy(self) -> _State:
        return _State(
            self.ctm, self.font, self.size, self.char_spacing, self.word_spacing, self.stretch, self.leading, self.rise,
            self.mode,
        )  # fmt: skip


def read_page(
    page: PageObject, reader: PdfReader, fonts: dict[object, FontTable], check: Callable[[int], None]
) -> PageContent:
    """
    Return what a page shows, in a frame with its origin at the lower left of the page as displayed.

    Args:
        fonts: tables by object, shared by all pages of a document; filled here.
        check: called now and then with the bytes unpacked for this page so far; may raise to stop.
    """
    base, width, height = display_frame(page)
    content = PageContent(width, height)
    interpreter = _Interpreter(content, reader, fonts, check, base)
    resources = resolve(page.get("/Resources"))
    contents = resolve(page.get("/Contents"))
    if contents is not None:
        interpreter.run(contents, resources if isinstance(resources, DictionaryObject) else DictionaryObject(), 0)
    return content


class _Interpreter:
    """Walks the operators of a page and of the forms it draws."""

    def __init__(
        self,
        content: PageContent,
        reader: PdfReader,
        fonts: dict[object, FontTable],
        check: Callable[[int], None],
        base: Matrix,
    ) -> None:
        self._content = content
        self._reader = reader
        self._fonts = fonts
        self._check = check
        self._state = _State(base)
        self._stack: list[_State] = []
        self._text: Matrix = IDENTITY
        self._line: Matrix = IDENTITY
        self._marks = Marks(content.fragments)
        self._strokes = Strokes(content.rules)
        self._active_forms: set[object] = set()
        self._n_forms = 0

    def run(self, stream: Any, resources: DictionaryObject, depth: int) -> None:
        """Interpret one content stream (of the page or of a form)."""
        parsed = ContentStream(stream, self._reader, "bytes")
        self._content.unpacked_bytes += len(parsed.get_data())
        self._check(self._content.unpacked_bytes)
        for number, (operands, operator) in enumerate(parsed.operations):
            if number % _CHECK_EVERY == 0:
                self._check(self._content.unpacked_bytes)
            if operator == b"Do":
                self._draw(operands, resources, depth)
            elif operator == b"Tf":
                self._set_font(operands, resources)
            elif operator in (b"BDC", b"BMC"):
                self._marks.begin(operands, resources)
            elif operator == b"EMC":
                self._marks.end()
            elif operator in STROKE_OPERATORS:
                self._content.n_curves += operator in CURVES
                self._strokes.take(operator, operands, self._state.ctm)
            elif operator == b"INLINE IMAGE":
                self._content.n_images += 1
            else:
                handler = _HANDLERS.get(operator)
                if handler is not None:
                    handler(self, operands)

    # Text state and positions (PDF 32000-1, 9.3 and 9.4).

    def save(self, _: Any) -> None:
        if len(self._stack) < 10_000:
            self._stack.append(self._state.copy())

    def restore(self, _: Any) -> None:
        if self._stack:
            self._state = self._stack.pop()

    def concatenate(self, operands: Any) -> None:
        numbers = floats(operands, 6)
        if numbers is not None:
            self._state.ctm = multiply(to_matrix(numbers), self._state.ctm)

    def begin_text(self, _: Any) -> None:
        self._text = self._line = IDENTITY

    def set_number(self, name: str, scale: float, operands: Any) -> None:
        numbers = floats(operands, 1)
        if numbers is not None:
            setattr(self._state, name, numbers[0] * scale)

    def set_mode(self, operands: Any) -> None:
        numbers = floats(operands, 1)
        if numbers is not None:
            self._state.mode = int(numbers[0])

    def move(self, operands: Any) -> None:
        numbers = floats(operands, 2)
        if numbers is not None:
            self._text = self._line = multiply((1, 0, 0, 1, numbers[0], numbers[1]), self._line)

    def move_and_lead(self, operands: Any) -> None:
        numbers = floats(operands, 2)
        if numbers is not None:
            self._state.leading = -numbers[1]
            self.move(operands)

    def place(self, operands: Any) -> None:
        numbers = floats(operands, 6)
        if numbers is not None:
            self._text = self._line = to_matrix(numbers)

    def next_line(self, _: Any) -> None:
        self.move([0.0, -self._state.leading])

    def _set_font(self, operands: Any, resources: DictionaryObject) -> None:
        if len(operands) < 2:
            return
        size = resolve(operands[1])
        if isinstance(size, (int, float)):
            self._state.size = float(size)
        table = resolve(resources.get("/Font"))
        reference = table.raw_get(operands[0]) if isinstance(table, DictionaryObject) and operands[0] in table else None
        font = resolve(reference)
        if not isinstance(font, DictionaryObject):
            self._state.font = None
            return
        key = (reference.idnum, reference.generation) if isinstance(reference, IndirectObject) else id(font)
        if key not in self._fonts:
            self._fonts[key] = FontTable(font)
        self._state.font = self._fonts[key]

    # Showing text.

    def show(self, operands: Any) -> None:
        if operands:
            self._show_parts(operands[:1])

    def show_next_line(self, operands: Any) -> None:
        self.next_line(None)
        self.show(operands)

    def show_spaced(self, operands: Any) -> None:
        if len(operands) == 3:
            self.set_number("word_spacing", 1.0, operands[:1])
            self.set_number("char_spacing", 1.0, operands[1:2])
            self.show_next_line(operands[2:])

    def show_array(self, operands: Any) -> None:
        parts = resolve(operands[0]) if operands else None
        if isinstance(parts, list):
            self._show_parts(parts)

    def _show_parts(self, parts: list[Any]) -> None:
        state = self._state
        if state.font is None:
            return
        word_gap = _word_gap(parts) * abs(state.size)
        pieces: list[str] = []
        start = end = self._text
        for part in parts:
            if isinstance(part, (int, float)):
                shift = -float(part) / 1000 * state.size * state.stretch
                self._advance(shift)
                if pieces and (shift > RUN_GAP_EM * abs(state.size) or shift < -0.5 * abs(state.size)):
                    self._emit("".join(pieces), start, end)
                    pieces = []
                elif pieces and shift > word_gap:
                    pieces.append(" ")
                continue
            if not isinstance(part, (bytes, bytearray, str)):
                continue
            data = part.encode("latin-1", "replace") if isinstance(part, str) else bytes(part)
            for number, chunk in enumerate(data.split(b"   ")):  # columns made with blanks
                if number:
                    self._emit("".join(pieces), start, end)
                    pieces = []
                    self._advance_over(b"   ")
                if chunk:
                    start = start if pieces else self._text
                    pieces.append(self._advance_over(chunk))
                    end = self._text
        self._emit("".join(pieces), start, end)

    def _advance_over(self, data: bytes) -> str:
        state = self._state
        if state.font is None:
            return ""
        text, width, n_glyphs, n_spaces = state.font.decode(data)
        self._advance(
            (width * state.size + state.char_spacing * n_glyphs + state.word_spacing * n_spaces) * state.stretch
        )
        return text

    def _advance(self, shift: float) -> None:
        a, b, c, d, e, f = self._text
        self._text = (a, b, c, d, e + shift * a, f + shift * b)

    def _emit(self, text: str, start: Matrix, end: Matrix) -> None:
        stripped = text.strip()
        state = self._state
        if not stripped or state.font is None:
            return
        risen = multiply((1, 0, 0, 1, 0, state.rise), start)
        first = multiply(risen, state.ctm)
        last = multiply(multiply((1, 0, 0, 1, 0, state.rise), end), state.ctm)
        space = state.font.space_width * state.size * state.stretch
        angle = round(math.degrees(math.atan2(first[1], first[0]))) % 360 if first[0] or first[1] else 0
        size = abs(state.size) * math.hypot(first[2], first[3])
        values = (*first, *last, size, space)
        if not all(math.isfinite(v) and abs(v) < 1e7 for v in values) or size < 0.5:
            return
        x0, y0 = turned(first[4], first[5], angle)
        x1, _ = turned(last[4], last[5], angle)
        unit = math.hypot(first[0], first[1])
        x0 += space * unit * (len(text) - len(text.lstrip()))
        x1 -= space * unit * (len(text) - len(text.rstrip()))
        self._content.fragments.append(
            Fragment(
                text=text,
                x0=min(x0, x1),
                x1=max(x0, x1),
                y=y0,
                size=size,
                angle=angle,
                is_bold=state.font.is_bold or state.mode == 2,
                is_hidden=state.mode == 3,
                artifact=self._marks.artifact,
            )
        )

    # Forms and pictures.

    def _draw(self, operands: Any, resources: DictionaryObject, depth: int) -> None:
        objects = resolve(resources.get("/XObject"))
        if not operands or not isinstance(objects, DictionaryObject) or operands[0] not in objects:
            return
        form = resolve(objects[operands[0]])
        if not isinstance(form, StreamObject):
            return
        if form.get("/Subtype") == "/Image":
            self._content.n_images += 1
            return
        if form.get("/Subtype") != "/Form" or depth >= _MAX_FORM_DEPTH or id(form) in self._active_forms:
            return
        self._n_forms += 1
        if self._n_forms > _MAX_FORMS_PER_PAGE:
            raise LimitReachedError(f"more than {_MAX_FORMS_PER_PAGE} forms on one page")
        inner = resolve(form.get("/Resources"))
        state, stack, text, line = self._state.copy(), self._stack, self._text, self._line
        self._active_forms.add(id(form))
        self._stack = []
        self.concatenate(form.get("/Matrix", []))
        self.run(form, inner if isinstance(inner, DictionaryObject) else resources, depth + 1)
        self._active_forms.discard(id(form))
        self._state, self._stack, self._text, self._line = state, stack, text, line


def _word_gap(parts: list[Any]) -> float:
    """
    Return the gap, as a share of the font size, that is a space in this array.

    Letterspaced text shows its glyphs one by one with a wide gap after each: there only a much wider gap is a space.
    """
    shown = [len(p) for p in parts if isinstance(p, (bytes, bytearray, str))]
    if len(shown) < 4 or sum(shown) > 1.3 * len(shown):
        return WORD_GAP_EM
    gaps = sorted(-float(p) / 1000 for p in parts if isinstance(p, (int, float)))
    middle = gaps[len(gaps) // 2] if len(gaps) >= len(shown) / 2 else 0.0
    return max(WORD_GAP_EM, 1.6 * middle)


_Handler = Callable[[_Interpreter, Any], None]
_HANDLERS: dict[bytes, _Handler] = {
    b"q": _Interpreter.save,
    b"Q": _Interpreter.restore,
    b"cm": _Interpreter.concatenate,
    b"BT": _Interpreter.begin_text,
    b"Tc": lambda i, o: i.set_number("char_spacing", 1.0, o),
    b"Tw": lambda i, o: i.set_number("word_spacing", 1.0, o),
    b"Tz": lambda i, o: i.set_number("stretch", 0.01, o),
    b"TL": lambda i, o: i.set_number("leading", 1.0, o),
    b"Ts": lambda i, o: i.set_number("rise", 1.0, o),
    b"Tr": _Interpreter.set_mode,
    b"Td": _Interpreter.move,
    b"TD": _Interpreter.move_and_lead,
    b"Tm": _Interpreter.place,
    b"T*": _Interpreter.next_line,
    b"Tj": _Interpreter.show,
    b"TJ": _Interpreter.show_array,
    b"'": _Interpreter.show_next_line,
    b'"': _Interpreter.show_spaced,
}
