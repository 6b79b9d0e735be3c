"""Bytes to text: the right charset or a clear refusal."""

from __future__ import annotations

import random

import pytest

from ingest.errors import MalformedSource
from ingest.readers.decode import decode_bytes, reads_as_western

FRENCH = "La naloxone est un antagoniste. L’héroïne, naïve – « élève »…"
GERMAN = "Entzug für Süchtige: Übelkeit, Größe, Schüttelfrost."
RUSSIAN = "Налоксон быстро снимает действие опиоидов. Вызовите скорую помощь немедленно."
JAPANESE = "ナロキソンはオピオイドの過剰摂取に使われる薬です。すぐに救急車を呼んでください。"
POLISH = "Nalokson może uratować życie. Zadzwoń na pogotowie, jeśli ktoś przedawkował. Proszę się nie bać."


@pytest.mark.parametrize("text", [FRENCH, GERMAN, RUSSIAN, JAPANESE, "plain", "😀 ok"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_with_or_without_a_mark(text: str, encoding: str) -> None:
    """This ensures that every Unicode encoding is read and its byte order mark is not text."""
    assert decode_bytes(text.encode(encoding), "x").text == text


@pytest.mark.parametrize("text", [FRENCH, GERMAN, RUSSIAN, "Two words\nand a line."])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_utf16_without_a_mark(text: str, encoding: str) -> None:
    """This ensures that UTF-16 and UTF-32 without a mark are not taken for binary files."""
    decoded = decode_bytes(text.encode(encoding), "x")

    assert (decoded.text, decoded.encoding) == (text, encoding)


@pytest.mark.parametrize("text", [FRENCH, GERMAN, "naïve", "Don’t use alone — it’s “safe”.", "25 °C, ½ dose"])
def test_western_text_is_cp1252(text: str) -> None:
    """This ensures that short Western text is not taken for cp1250, which turns "naïve" into another word."""
    decoded = decode_bytes(text.encode("cp1252"), "x")

    assert (decoded.text, decoded.encoding, decoded.is_guess) == (text, "cp1252", False)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(RUSSIAN, "cp1251"), (JAPANESE, "shift_jis"), (JAPANESE, "iso2022_jp"), (POLISH, "cp1250")],
)
def test_other_charsets_are_detected(text: str, encoding: str) -> None:
    """This ensures that text in other scripts is recognised rather than garbled as Western."""
    assert decode_bytes(text.encode(encoding), "x").text == text


def test_a_detected_charset_is_marked_as_a_guess() -> None:
    """This ensures that the report can name a guess."""
    assert decode_bytes(RUSSIAN.encode("cp1251"), "x").is_guess
    assert not decode_bytes(RUSSIAN.encode(), "x").is_guess


@pytest.mark.parametrize("declared", ["koi8-r", "KOI8-R", " koi8_r "])
def test_a_declared_charset_is_taken(declared: str) -> None:
    """This ensures that what a page declares comes before any guess."""
    assert decode_bytes(RUSSIAN.encode("koi8-r"), "x", declared).text == RUSSIAN


@pytest.mark.parametrize("declared", ["iso-8859-1", "windows-1252", "latin1", "us-ascii"])
def test_utf8_behind_a_wrong_declaration(declared: str) -> None:
    """This ensures that UTF-8 declared as a single-byte charset, a common mistake, is still UTF-8."""
    assert decode_bytes(FRENCH.encode(), "x", declared).text == FRENCH


@pytest.mark.parametrize("declared", ["rot13", "unicode_escape", "utf-7", "zlib", "no-such", "x" * 500, "a\x00b", "é"])
def test_codecs_that_are_no_charset_are_passed_over(declared: str) -> None:
    """This ensures that a file can't choose a decoder that is none."""
    assert decode_bytes(b"+AGE- \\u0041 abc", "x", declared).text == "+AGE- \\u0041 abc"


def test_only_line_ends_change() -> None:
    """This ensures that CRLF and CR become LF and nothing is trimmed or composed."""
    assert decode_bytes(" e\u0301\r\n\r\ra \t\n".encode(), "x").text == " e\u0301\n\n\na \t\n"


def test_few_control_characters_stay() -> None:
    """This ensures that a form feed or a stray escape stays where it stands."""
    text = "Page one.\fPage two.\x1b " + "More words. " * 30

    assert decode_bytes(text.encode(), "x").text == text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"%PDF-1.7 and so on", "a PDF"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\x7fELF\x02\x01", "program"),
        (b"{\\rtf1 Hello}", "RTF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Office"),
        (b"first line\nab\x00cd", "NUL byte at byte 13, line 2"),
        (b"\x01\x02\x03\x04\x05\x06 abc", "control characters"),
        (b"\xff\xfea", "byte order mark"),
        (b"\xff\xfe\x00\xd8a\x00", "byte order mark"),
        (b"a \xed\xa0\x80 b", "broken character"),
    ],
)
def test_what_is_no_text_is_refused_by_name(data: bytes, said: str) -> None:
    """This ensures that binary files are refused with what they look like and what to do."""
    with pytest.raises(MalformedSource, match=said) as caught:
        decode_bytes(data, "a/b.txt")

    assert caught.value.where == "a/b.txt"
    assert caught.value.fix


def test_noise_is_refused() -> None:
    """This ensures that random bytes never become a document."""
    with pytest.raises(MalformedSource):
        decode_bytes(random.Random(3).randbytes(5_000), "x")


@pytest.mark.parametrize("damage", [b"caf\xe9", b"\xe2\x80", b"\xff"])
def test_damaged_utf8_is_refused_with_its_line(damage: bytes) -> None:
    """This ensures that one bad byte does not turn all other accents into garbage: "naÃ¯ve" is a wrong quote."""
    data = "naïve – “so”\nélève\n".encode() + damage + b" end"

    with pytest.raises(MalformedSource, match="line 3"):
        decode_bytes(data, "x")


def test_empty_bytes_are_empty_text() -> None:
    """This ensures that an empty file decodes; that it holds nothing is judged elsewhere."""
    assert decode_bytes(b"", "x").text == ""


@pytest.mark.parametrize("text", ["naïve", FRENCH, "ascii only", "¿Qué hacer? ¡Llame ya!"])
def test_western_text_reads_as_western(text: str) -> None:
    """This ensures that Western punctuation and accents pass."""
    assert reads_as_western(text)


@pytest.mark.parametrize(
    "text",
    [RUSSIAN.encode("cp1251").decode("cp1252"), "mo¿e uratowaæ", "pøíli¹ žluou", "A word: Ïðèâåò to all of you."],
)
def test_garbled_text_does_not(text: str) -> None:
    """This ensures that other scripts read as cp1252 are recognised as garbled."""
    assert not reads_as_western(text)
