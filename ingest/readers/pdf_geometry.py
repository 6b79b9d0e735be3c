"""
Matrices, page boxes and operands of a PDF page. Arithmetic on pypdf's values; interprets no operators.

Source: PDF 32000-1, 8.3 (coordinate systems) and 14.11.2 (page boundaries).
"""

from __future__ import annotations

import math
from typing import Any

from pypdf import PageObject

Matrix = tuple[float, float, float, float, float, float]
IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def multiply(m: Matrix, n: Matrix) -> Matrix:
    """Return the matrix that applies `m` first, then `n` (PDF 32000-1, 8.3.4)."""
    return (
        m[0] * n[0] + m[1] * n[2],
        m[0] * n[1] + m[1] * n[3],
        m[2] * n[0] + m[3] * n[2],
        m[2] * n[1] + m[3] * n[3],
        m[4] * n[0] + m[5] * n[2] + n[4],
        m[4] * n[1] + m[5] * n[3] + n[5],
    )


def resolve(value: Any) -> Any:
    """Return the object that a reference leads to, anything else as it is."""
    return value.get_object() if hasattr(value, "get_object") else value


def floats(value: Any, count: int) -> list[float] | None:
    """Return the first `count` operands as finite numbers, None if they are not that."""
    value = resolve(value)
    if not isinstance(value, (list, tuple)) or len(value) < count:
        return None
    numbers = [resolve(item) for item in value[:count]]
    if not all(isinstance(n, (int, float)) and math.isfinite(n) for n in numbers):
        return None
    return [float(n) for n in numbers]


def display_frame(page: PageObject) -> tuple[Matrix, float, float]:
    """Return (matrix to the page as displayed, with its origin at the lower left; width; height)."""
    box = floats(page.get("/CropBox"), 4) or floats(page.get("/MediaBox"), 4) or [0.0, 0.0, 612.0, 792.0]
    left, right = sorted((box[0], box[2]))
    low, high = sorted((box[1], box[3]))
    if right - left < 1 or high - low < 1:
        left, low, right, high = 0.0, 0.0, 612.0, 792.0
    turn = resolve(page.get("/Rotate", 0))
    turn = int(turn) % 360 if isinstance(turn, (int, float)) else 0
    width, height = right - left, high - low
    if turn == 90:
        return (0.0, -1.0, 1.0, 0.0, -low, right), height, width
    if turn == 180:
        return (-1.0, 0.0, 0.0, -1.0, right, high), width, height
    if turn == 270:
        return (0.0, 1.0, -1.0, 0.0, high, -left), height, width
    return (1.0, 0.0, 0.0, 1.0, -left, -low), width, height


def to_matrix(numbers: list[float]) -> Matrix:
    """Return six numbers as a matrix."""
    return numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]


def turned(x: float, y: float, angle: int) -> tuple[float, float]:
    """Return the point in a frame in which text at `angle` runs from left to right."""
    if angle == 0:
        return x, y
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return x * cos + y * sin, y * cos - x * sin
