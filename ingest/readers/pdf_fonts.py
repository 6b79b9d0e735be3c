"""
Shown bytes of a PDF font to characters and advances. Only here are pypdf's fonts used; no positions, no layout.

Works on pypdf's font class, which is not part of its public interface: the range of versions in pyproject.toml is
narrow for that reason, and tests/unit/test_ingest_pdf_content.py fails first if it moves.
"""

from __future__ import annotations

import struct
import unicodedata
from typing import Any

from pypdf.generic import DictionaryObject
from pypdf.generic._font import Font

UNREADABLE = "\ufffd"  # stands for every glyph whose meaning the file does not tell

_BOLD_NAMES = ("bold", "black", "heavy", "demi")
_FORCE_BOLD = 1 << 18  # font descriptor flag, PDF 32000-1 table 123


def clean_characters(text: str) -> str:
    """
    Return the text with nothing in it that must never reach a document.

    A surrogate pair becomes its character; lone surrogates, controls and noncharacters become U+FFFD, because
    something was printed there; every kind of blank becomes a plain space; marks without ink (U+200B, U+FEFF) go.
    """
    if text.isascii() and text.isprintable():
        return text
    if any("\ud800" <= c <= "\udfff" for c in text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return "".join(_clean_character(c) for c in text)


def _clean_character(char: str) -> str:
    if char in "\u200b\ufeff\u2060":
        return ""
    if char in "\t\n\r\x0b\x0c" or unicodedata.category(char) in ("Zs", "Zl", "Zp"):
        return " "
    if unicodedata.category(char) in ("Cc", "Cs") or (
        (ord(char) & 0xFFFE) == 0xFFFE or "\ufdd0" <= char <= "\ufdef" or char >= "\U0010ff00"
    ):
        return UNREADABLE
    return char


def _glyph_text(mapped: object, width: float) -> str:
    """Return the characters of one glyph; an unresolved glyph name such as "/g23" is unreadable."""
    if not isinstance(mapped, str) or not mapped or (len(mapped) > 1 and mapped.startswith("/")):
        return UNREADABLE
    text = clean_characters(mapped)
    # A code without meaning and without width draws nothing: some writers leave NULs between their words.
    return "" if width == 0 and UNREADABLE in text else text


class FontTable:
    """
    One font of a document, ready for decoding.

    `is_bold` judges by name, weight and flags. Widths are in text space units (1 = the font size).
    """

    def __init__(self, resource: DictionaryObject) -> None:
        font = Font.from_font_resource(resource)
        self.is_bold = _is_bold(font)
        self._is_composite = font.sub_type not in ("Type1", "MMType1", "TrueType", "Type3")
        self._has_meaning = font.interpretable and not (
            self._is_composite and not font.character_map and font.encoding == "utf-16-be"
        )
        # PDF 32000-1, annex D.2, note 3: unused codes of this encoding above 040 show a bullet.
        self._unused_is_bullet = "/ToUnicode" not in resource and _base_encoding(resource) == "/WinAnsiEncoding"
        self._codec = font.encoding if isinstance(font.encoding, str) else ""
        self._map = font.character_map
        self._scale = _glyph_space(resource) if font.sub_type == "Type3" else 0.001
        self._widths = {str(k): _number(v) for k, v in font.character_widths.items()}
        self._default = self._widths.get("default", 500.0)
        self._cache: dict[int, tuple[str, float]] = {}
        self.space_width = self._widths.get(font.space_char, self._default) * self._scale
        if not self._is_composite:
            for code in range(256):
                self._cache[code] = self._simple_glyph(code, font)
        self._texts = [self._cache[code][0] for code in range(256)] if not self._is_composite else []
        self._advances = [self._cache[code][1] for code in range(256)] if not self._is_composite else []

    def _simple_glyph(self, code: int, font: Font) -> tuple[str, float]:
        char = chr(code)
        width = self._widths.get(char, self._default)
        if not self._has_meaning:
            return UNREADABLE, width * self._scale
        encoded = font.encoding.get(code, char) if isinstance(font.encoding, dict) else char
        if self._unused_is_bullet and code > 0o40 and encoded == char and unicodedata.category(char) == "Cc":
            return "•", width * self._scale
        return _glyph_text(self._map.get(encoded, encoded), width), width * self._scale

    def _composite_glyph(self, code: int) -> tuple[str, float]:
        char = chr(code)
        width = self._widths.get(char, self._default)
        mapped = self._map.get(char, UNREADABLE if self._map else char)
        text = _glyph_text(mapped, width) if self._has_meaning else UNREADABLE
        return text, width * self._scale

    def decode(self, data: bytes) -> tuple[str, float, int, int]:
        """
        Return (text, advance in units of the font size, number of glyphs, number of one-byte spaces).

        Args:
            data: the operand of a showing operator.
        """
        if not self._is_composite:
            text = "".join([self._texts[code] for code in data])
            return text, sum([self._advances[code] for code in data]), len(data), data.count(32)
        if self._codec and self._codec != "utf-16-be":
            return self._decode_by_codec(data)
        codes = struct.unpack(f">{len(data) // 2}H", data[: len(data) & ~1])
        texts: list[str] = []
        advance = 0.0
        for code in codes:
            glyph = self._cache.get(code)
            if glyph is None:
                glyph = self._cache[code] = self._composite_glyph(code)
            texts.append(glyph[0])
            advance += glyph[1]
        return "".join(texts), advance, len(codes), 0

    def _decode_by_codec(self, data: bytes) -> tuple[str, float, int, int]:
        """Decode a predefined CMap that pypdf names as a Python codec; its widths are full or half an em."""
        text = data.decode(self._codec, "replace")
        mapped = "".join(_glyph_text(self._map.get(c, c), 1.0) for c in text)
        advance = sum(0.5 if c.isascii() else self._default * self._scale for c in text)
        return mapped, advance, len(text), 0


def _number(value: Any) -> float:
    value = value.get_object() if hasattr(value, "get_object") else value
    return float(value) if isinstance(value, (int, float)) else 0.0


def _glyph_space(resource: DictionaryObject) -> float:
    """Return a Type 3 font's horizontal scale (its widths are in glyph space, not in thousandths)."""
    matrix = resource.get("/FontMatrix")
    matrix = matrix.get_object() if matrix is not None else None
    if isinstance(matrix, list) and len(matrix) == 6:
        return abs(_number(matrix[0])) or 0.001
    return 0.001


def _base_encoding(resource: DictionaryObject) -> str:
    encoding = resource.get("/Encoding")
    encoding = encoding.get_object() if encoding is not None else None
    if isinstance(encoding, DictionaryObject):
        encoding = encoding.get("/BaseEncoding")
    return encoding if isinstance(encoding, str) else ""


def _is_bold(font: Font) -> bool:
    descriptor = font.font_descriptor
    name = font.name.rpartition("+")[2].lower()
    if any(word in name for word in _BOLD_NAMES):
        return True
    # pypdf takes both from the file as they are, whatever their annotations say.
    return bool(int(_number(descriptor.flags)) & _FORCE_BOLD) or _number(descriptor.weight) >= 600
