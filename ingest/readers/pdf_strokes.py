"""
Paths of a PDF page to horizontal strokes, which tell tables from columns. Knows nothing of text.

Source: PDF 32000-1, 8.5 (path construction and painting).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ingest.readers.pdf_geometry import Matrix, floats
from ingest.readers.pdf_lines import Rule

CURVES = frozenset((b"c", b"v", b"y"))
_PAINTING = frozenset((b"S", b"s", b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*"))
STROKE_OPERATORS = CURVES | _PAINTING | {b"m", b"l", b"re", b"n"}
_MAX_POINTS = 10_000
_MAX_RULES = 2_000
_MIN_LENGTH = 10.0  # points


class Strokes:
    """
    The path under construction.

    Args:
        rules: horizontal strokes of the page; filled here.
    """

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = rules
        self._points: list[tuple[float, float]] = []
        self._boxes: list[Rule] = []

    def take(self, operator: bytes, operands: Any, ctm: Matrix) -> None:
        """Add one path operator."""
        if operator in (b"m", b"l"):
            numbers = floats(operands, 2)
            if operator == b"m":
                self._flush()
            if numbers is not None and len(self._points) < _MAX_POINTS:
                self._points.append(_device(ctm, numbers[0], numbers[1]))
        elif operator == b"re":
            self._add_box(operands, ctm)
        elif operator in _PAINTING:
            self._flush()
            self._rules.extend(self._boxes[: max(0, _MAX_RULES - len(self._rules))])
            self._boxes = []
        elif operator == b"n":
            self._points, self._boxes = [], []

    def _add_box(self, operands: Any, ctm: Matrix) -> None:
        numbers = floats(operands, 4)
        if numbers is None:
            return
        x0, y0 = _device(ctm, numbers[0], numbers[1])
        x1, y1 = _device(ctm, numbers[0] + numbers[2], numbers[1] + numbers[3])
        for y in (y0, y1) if abs(y1 - y0) > 3 else (y0,):
            self._add(x0, x1, y)

    def _flush(self) -> None:
        for (x0, y0), (x1, y1) in pairwise(self._points):
            if abs(y0 - y1) < 1:
                self._add(x0, x1, y0)
        self._points = []

    def _add(self, x0: float, x1: float, y: float) -> None:
        if abs(x1 - x0) > _MIN_LENGTH and len(self._boxes) < _MAX_RULES:
            self._boxes.append(Rule(min(x0, x1), max(x0, x1), y))


def _device(ctm: Matrix, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = ctm
    return a * x + c * y + e, b * x + d * y + f
