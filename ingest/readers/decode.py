"""
Bytes to text, without ever guessing in silence. Knows encodings and line ends, no document structure.

Order: byte order mark, declared charset, strict UTF-8, UTF-16/32 without a mark, cp1252 where it reads as Western
text, charset-normalizer. What holds NUL bytes or many control characters is no text and is refused by name.

The only change made to the text is that CRLF and CR become LF. Of the C0 controls NUL never survives; up to
MAX_CONTROL_SHARE of the others is kept where it stands (form feeds, a stray escape), because dropping them would
shift offsets against the file; more than that is taken for a binary file.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass, replace

from ingest.errors import MalformedSource

# One control character in 200 occurs in damaged but readable text; random bytes have 1 in 9.
MAX_CONTROL_SHARE = 0.005
_CONTROL_BYTES = bytes(b for b in range(32) if b not in b"\t\n\v\f\r\x1a") + b"\x7f"
_CONTROL_CHARS = re.compile("[\x00-\x08\x0e-\x19\x1b-\x1f\x7f-\x84\x86-\x9f]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SAMPLE_BYTES = 262_144  # charset-normalizer needs 1 s per MB and decides on far less

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive (docx, epub, odt and others are such)"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"\xd0\xcf\x11\xe0", "an old Office file (doc, xls, ppt)"),
    (b"{\\rtf", "an RTF file"),
    (b"\x7fELF", "a program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh9", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"OggS\x00", "an Ogg recording"),
    (b"ID3\x03", "an MP3 recording"),
    (b"ID3\x04", "an MP3 recording"),
)

# The longer marks come first: UTF-32-LE begins with the mark of UTF-16-LE.
_MARKS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# Declared names stand for the superset that files really use (WHATWG Encoding Standard, "labels").
_SUPERSETS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "utf-8-sig": "utf-8",
}
# What charset-normalizer may answer: on short texts its rarer codecs (hp_roman8, cp1006, utf_16_be) fit anything.
_DETECTABLE = [
    *("cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"),
    *("iso8859_2", "koi8_r", "koi8_u", "cp932", "euc_jp", "gb18030", "big5", "cp949"),
]
# Python knows codecs that are no charsets (rot13, unicode_escape) or unsafe (utf-7); a file can't choose those.
_CHARSET = re.compile(
    r"utf-8(-sig)?|cp(125[0-8]|437|85[0258]|86[26]|874|932|949)|iso8859-\d+|koi8-[ru]|mac-(roman|cyrillic)|ascii"
    r"|shift_jis(x0213)?|euc_(jp|kr)|iso2022_jp|gb2312|gbk|gb18030|hz|big5(hkscs)?|tis-620"
)
_MULTIBYTE = frozenset({"utf-8", "cp932", "euc_jp", "iso2022_jp", "gb18030", "hz", "cp949", "big5hkscs"})
_UTF8_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file's text, line ends LF, without byte order mark, NUL or lone surrogates; and its charset."""

    text: str
    encoding: str
    is_guess: bool = False  # charset-normalizer chose; worth a line in the build report


def decode_bytes(data: bytes, where: str, declared: str = "") -> Decoded:
    """
    Return the text of a file's bytes.

    Args:
        data: the whole file; empty gives an empty text.
        where: names the file in errors.
        declared: the charset that the file or its container names, "" if none; unknown names are passed over.

    Raises:
        MalformedSource: the bytes are no text, are UTF-8 with damage, or fit no known charset.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _finish(_decode_marked(data[len(mark) :], encoding, where), encoding, where)
    _refuse_magic(data, where)
    if b"\x00" in data:
        return _decode_with_nul(data, where)
    _refuse_control_bytes(data, where)
    decoded = _decode_declared(data, declared) or _decode_usual(data)
    if decoded is not None:
        return _finish(*decoded, where)
    _refuse_damaged_utf8(data, where)
    western = _try(data, "cp1252")
    if western is not None and reads_as_western(western):
        return _finish(western, "cp1252", where)
    return _detect(data, where)


def reads_as_western(text: str) -> bool:
    """
    Tell whether a text decoded as cp1252 looks like a Western European language.

    Few of its letters are accented and no word of four consists of such alone (Cyrillic or Greek would), no signs
    such as ¹ ³ ¿ stand between letters (they would be Polish letters in cp1250), and it does not mix the letters
    that Czech in cp1250 turns into (ø or ì with š, ž or ý). Judges a stretch from the first non-ASCII character on.
    """
    first = re.search(r"[^\x00-\x7f]", text)
    if first is None:
        return True
    sample = text[max(0, first.start() - 100) : first.start() + _SAMPLE_BYTES]
    accented = re.findall(r"[^\W\d_a-zA-Zªº]", sample)
    plain = len(re.findall(r"[A-Za-z]", sample))
    if len(accented) > 0.45 * (len(accented) + plain) and len(accented) > 1:
        return False
    if re.search(r"(?<![a-zA-Z])[^\W\d_a-zA-Zªº]{4,}(?![a-zA-Z])", sample):
        return False
    if re.search(r"[^\W\d_][¤¦¨¬¯¸¹²³¼½¾¿¡£¥§¶][^\W\d_]", sample):
        return False
    letters = {c.lower() for c in accented}
    return not (letters & {"ø", "ì"} and letters & {"š", "ž", "ý"})


def _decode_declared(data: bytes, declared: str) -> tuple[str, str] | None:
    """
    Return (text, charset) if the declared charset holds.

    A single-byte charset decodes anything: bytes that form valid UTF-8 are UTF-8 whatever is declared.
    """
    charset = _known_charset(declared)
    if not charset or (charset not in _MULTIBYTE and not data.isascii() and _try(data, "utf-8") is not None):
        return None
    text = _try(data, charset)
    return None if text is None else (text, charset)


def _decode_usual(data: bytes) -> tuple[str, str] | None:
    """Return (text, charset) for strict UTF-8, and for ISO-2022-JP, whose bytes are ASCII with escapes."""
    for charset in ("iso2022_jp", "utf-8") if b"\x1b$" in data else ("utf-8",):
        text = _try(data, charset)
        if text is not None:
            return text, charset
    return None


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _known_charset(declared: str) -> str:
    """Return the Python codec for a declared charset; "" for unknown ones and for those a mark would have shown."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,39}", declared.strip()):
        return ""
    try:
        name = codecs.lookup(declared.strip()).name
    except LookupError:
        return ""
    return _SUPERSETS.get(name, name) if _CHARSET.fullmatch(name) else ""


def _decode_marked(data: bytes, encoding: str, where: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise MalformedSource(
            f"begins with the byte order mark of {encoding} but is not {encoding} at byte {error.start}",
            where=where,
            fix="save it again as UTF-8",
        ) from error


def _decode_with_nul(data: bytes, where: str) -> Decoded:
    """Read UTF-16 or UTF-32 without a mark; any other file with NUL bytes is no text."""
    # Eight-bit text with a stray NUL would come out as Chinese characters.
    is_wide = data.count(b"\x00") > 0.25 * len(data) or _try(data, "utf-8") is None or _has_controls(data)
    for encoding, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        if len(data) % width or not is_wide:
            continue
        text = _try(data, encoding)
        if text is not None and _reads_as_text(text):
            return _finish(text, encoding, where)
    at = data.index(b"\x00")
    line = data.count(b"\n", 0, at) + 1
    raise MalformedSource(
        f"is not text: NUL byte at byte {at}, line {line}",
        where=where,
        fix="give it the ending of what it is, save it as UTF-8, or move it out of the corpus",
    )


def _reads_as_text(text: str) -> bool:
    """Tell whether UTF-16/32 decoding made sense: no NUL, hardly anything unassigned, and words with spaces."""
    if "\x00" in text:
        return False
    sample = text[:20_000]
    odd = sum(unicodedata.category(c) in ("Cn", "Co", "Cc") and c not in "\t\n\v\f\r" for c in sample)
    # The wrong byte order turns spaces and line ends into U+2000 and U+0A00, and letters into many scripts at once.
    common = sum(c < "\u0600" or unicodedata.category(c) == "Lo" for c in sample)
    spaces = sample.count(" ") + sample.count("\n") + sample.count("\u3000")
    return odd <= len(sample) * MAX_CONTROL_SHARE and common >= 0.8 * len(sample) and (spaces > 0 or len(sample) < 40)


def _refuse_magic(data: bytes, where: str) -> None:
    head = data[:32].lstrip(b"\r\n\t ") if data[:1].isspace() else data[:32]
    for magic, name in _MAGIC:
        if head.startswith(magic):
            raise MalformedSource(
                f"is not text but looks like {name}",
                where=where,
                fix="give it the right file ending, or move it out of the corpus",
            )


def _has_controls(data: bytes) -> bool:
    """Tell whether control bytes besides NUL are too many for text."""
    return len(data) - len(data.translate(None, _CONTROL_BYTES[1:])) > max(2, len(data) * MAX_CONTROL_SHARE)


def _refuse_control_bytes(data: bytes, where: str) -> None:
    n_controls = len(data) - len(data.translate(None, _CONTROL_BYTES))
    # ESC and SO/SI shift charsets in ISO-2022; such text has few other controls.
    n_controls -= data.count(b"\x1b$") + data.count(b"\x1b(")
    if n_controls > max(2, len(data) * MAX_CONTROL_SHARE):
        raise MalformedSource(
            f"is not text: {n_controls} control characters in {len(data)} bytes",
            where=where,
            fix="give it the ending of what it is, or move it out of the corpus",
        )


def _refuse_damaged_utf8(data: bytes, where: str) -> None:
    """Refuse what is UTF-8 but for a few bytes: any other charset would garble its accented letters."""
    first = re.search(rb"[\x80-\xff]", data)
    start = first.start() if first else 0
    rest, n_valid = _UTF8_SEQUENCE.subn(b"", data[start : start + _SAMPLE_BYTES])
    n_damaged = len(rest) - len(rest.translate(None, bytes(range(128, 256))))
    if n_valid and n_valid >= n_damaged:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise MalformedSource(
                f"is UTF-8 with a broken character at byte {error.start}, line {line}",
                where=where,
                fix="mend that character and save the file as UTF-8",
            ) from error


def _detect(data: bytes, where: str) -> Decoded:
    """Let charset-normalizer name the charset from a sample that begins with the first non-ASCII line."""
    from charset_normalizer import from_bytes  # 40 ms that almost no file needs

    first = re.search(rb"[\x80-\xff]", data)
    start = data.rfind(b"\n", 0, first.start()) + 1 if first else 0
    sample = data[start : start + _SAMPLE_BYTES]
    if start + _SAMPLE_BYTES < len(data):
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    for guess in from_bytes(sample, cp_isolation=_DETECTABLE):
        text = _try(data, guess.encoding)
        if text is not None and not _SURROGATES.search(text) and "\x00" not in text:
            n_controls = len(_CONTROL_CHARS.findall(text))
            if n_controls <= max(2, len(text) * MAX_CONTROL_SHARE):
                return replace(_finish(text, guess.encoding, where), is_guess=True)
    raise MalformedSource(
        "is in no text encoding that could be recognised",
        where=where,
        fix="save it as UTF-8, or move it out of the corpus",
    )


def _finish(text: str, encoding: str, where: str) -> Decoded:
    if "\x00" in text or _SURROGATES.search(text):
        raise MalformedSource(
            f"is not text: NUL or half a character pair in what is marked as {encoding}",
            where=where,
            fix="save it again as UTF-8",
        )
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return Decoded(text, encoding)
