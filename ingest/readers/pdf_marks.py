"""
Marked content of a PDF page: what the file tags as an artifact, and the text it says its glyphs stand for.

Source: PDF 32000-1, 14.6 (marked content), 14.8.2.2 (artifacts), 14.9.4 (replacement text). Shows no text itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pypdf.generic import DictionaryObject

from ingest.readers.pdf_fonts import clean_characters
from ingest.readers.pdf_geometry import resolve
from ingest.readers.pdf_lines import Fragment

_MAX_OPEN = 1_000
_ARTIFACTS = ("header", "footer", "watermark", "pagination")


@dataclass(slots=True)
class _Mark:
    """An open marked-content sequence."""

    artifact: str
    actual_text: str | None
    first_fragment: int


class Marks:
    """
    The open marked-content sequences.

    Args:
        fragments: of the page, in drawing order; those with a replacement text are replaced in it.
    """

    def __init__(self, fragments: list[Fragment]) -> None:
        self._fragments = fragments
        self._open: list[_Mark] = []

    @property
    def artifact(self) -> str:
        """Return what kind of artifact is being shown, "" for content."""
        return self._open[-1].artifact if self._open else ""

    def begin(self, operands: Any, resources: DictionaryObject) -> None:
        """Open a sequence (BMC, BDC)."""
        tag = operands[0] if operands else ""
        properties = resolve(operands[1]) if len(operands) > 1 else None
        if isinstance(properties, str):
            named = resolve(resources.get("/Properties"))
            properties = resolve(named.get(properties)) if isinstance(named, DictionaryObject) else None
        artifact, actual = self.artifact, None
        if isinstance(properties, DictionaryObject):
            if tag == "/Artifact":
                kind = f"{properties.get('/Type', '')}{properties.get('/Subtype', '')}".lower()
                artifact = next((k for k in _ARTIFACTS if k in kind), artifact)
            actual = _decode_text(properties.get("/ActualText"))
        if len(self._open) < _MAX_OPEN:
            self._open.append(_Mark(artifact, actual, len(self._fragments)))

    def end(self) -> None:
        """Close the innermost sequence (EMC)."""
        if not self._open:
            return
        mark = self._open.pop()
        shown = self._fragments[mark.first_fragment :]
        if mark.actual_text is None or not shown:
            return
        first = shown[0]
        # Replacement text over several lines can't be placed: the shown characters stay.
        if any(abs(f.y - first.y) > 0.2 * first.size or f.angle != first.angle for f in shown):
            return
        del self._fragments[mark.first_fragment :]
        if mark.actual_text.strip():
            left, right = min(f.x0 for f in shown), max(f.x1 for f in shown)
            self._fragments.append(replace(first, text=mark.actual_text, x0=left, x1=right))


def _decode_text(value: Any) -> str | None:
    value = resolve(value)
    raw = getattr(value, "original_bytes", value)
    if not isinstance(raw, bytes):
        return clean_characters(value) if isinstance(value, str) else None
    if raw.startswith(b"\xfe\xff"):
        return clean_characters(raw[2:].decode("utf-16-be", "replace"))
    if raw.startswith(b"\xef\xbb\xbf"):
        return clean_characters(raw[3:].decode("utf-8", "replace"))
    return clean_characters(raw.decode("latin-1"))
