"""
Which names and which contents may be put into the library over the network. Pure: values in, errors out.

Whoever uploads is trusted to choose documents, not to choose paths: a name must mean the same file on every system
and to every eye, and a file must be what its ending says.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from ingest.errors import MalformedSource, UnsupportedSource
from ingest.library import CONFIGURATION_FILES
from ingest.readers import readable_suffixes
from service.errors import NameRefused, NameTaken

MAX_NAME_CHARS = 400
MAX_PART_BYTES = 255  # of ext4, APFS, NTFS and most others
MAX_DEPTH = 16

# Reserved with any ending, and with digits in superscript: learn.microsoft.com, "Naming Files, Paths, and Namespaces".
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])", re.IGNORECASE)
_FORBIDDEN_ON_WINDOWS = frozenset('<>:"|?*')
# Format characters (bidi marks, joiners, tags), controls, surrogates, private use, unassigned, line separators.
_INVISIBLE = frozenset({"Cf", "Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
# Blank to the eye without being a format character (Hangul fillers, the braille blank, variation selectors), and what
# stands for bytes that were no text.
_BLANK = frozenset("\ufffd\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5") | {chr(c) for c in range(0xFE00, 0xFE10)}
# Scripts whose letters pass for Latin ones. The first word of a character's Unicode name is its script.
_LOOK_ALIKE_SCRIPTS = frozenset({"CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE", "LISU", "DESERET", "GEORGIAN"})

_FIX = "choose a plain name such as guides/naloxone.md"


def check_name(name: str) -> str:
    """
    Return a document's id if a file of that name may be written.

    Raises:
        NameRefused: it leads out of the corpus, is no ordinary name everywhere, or looks like another one. The text
            says which rule, and does not repeat the name, which may be made to mislead whoever reads it.
        UnsupportedSource: no reader takes its ending.
    """
    check_place(name)
    if len(name) > MAX_NAME_CHARS:
        raise _refused(f"has {len(name)} characters, at most {MAX_NAME_CHARS} are taken")
    if unicodedata.normalize("NFC", name) != name:
        raise _refused("is not in Unicode normal form C, so that another name would look the same")
    for part in name.split("/"):
        _check_part(part)
    suffix = PurePosixPath(name).suffix
    if suffix.lower() not in readable_suffixes():
        raise UnsupportedSource(
            "no reader takes files of that ending",
            where="document id",
            fix=f"convert it to one of {' '.join(readable_suffixes())}",
        )
    return name


def check_place(name: str) -> str:
    """
    Return a name if it can only lead to a place inside the corpus; enough for what exists already.

    Raises:
        NameRefused: absolute, "..", empty parts, NUL, backslash, hidden, or one of the corpus's own settings.
    """
    if not name or len(name) > 4 * MAX_NAME_CHARS:
        raise _refused("is empty or far too long")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise _refused("is absolute")
    if "\x00" in name or "\\" in name:
        raise _refused("holds a NUL or a backslash")
    try:
        encoded = [part.encode("utf-8") for part in name.split("/")]
    except UnicodeEncodeError:
        raise _refused("is not valid Unicode") from None
    if len(encoded) > MAX_DEPTH:
        raise _refused(f"has more than {MAX_DEPTH} parts")
    for part in encoded:
        if part in (b"", b".", b".."):
            raise _refused('holds an empty part, "." or ".."')
        if part.startswith((b".", b"~$")):
            raise _refused("is hidden, or the lock file of an office program; such files are never read")
        if len(part) > MAX_PART_BYTES:
            raise _refused(f"has a part of {len(part)} bytes, at most {MAX_PART_BYTES} fit everywhere")
    folded = _skeleton(name)
    if folded in CONFIGURATION_FILES:
        raise _refused("belongs to a file that configures the library and is edited by its operator")
    return name


def check_no_twin(name: str, existing: Iterable[str]) -> None:
    """
    Hold a new name against those that are there.

    Raises:
        NameTaken: a different name that is the same but for case, accents' composition or compatibility forms, or a
            folder where this name needs a file, or the reverse.
    """
    mine = _skeleton(name)
    for other in existing:
        theirs = _skeleton(other)
        if other != name and theirs == mine:
            raise NameTaken(
                f"looks like the document {ascii(other) if not other.isascii() else other}, which is there already",
                where="document id",
                fix="replace that one, or choose another name",
            )
        if theirs.startswith(f"{mine}/") or mine.startswith(f"{theirs}/"):
            raise NameTaken(
                "is a folder where a document is, or the reverse", where="document id", fix="choose another name"
            )
        _check_folders(name, other)


def check_content(name: str, head: bytes) -> None:
    """
    Hold the first bytes of a file against its ending; whether it can be read is for its reader.

    Args:
        head: the first 4,096 bytes, or all there are.

    Raises:
        MalformedSource: empty, a program, or of another kind than the ending says.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if not head:
        raise MalformedSource("the file is empty", where=name, fix="send the document as the request's body")
    found = next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")
    expected = _KINDS.get(suffix, "")
    if expected == "a PDF" and not found and b"%PDF-" in head[:1024]:
        found = expected  # some programs write a line before it
    if found != expected:
        what = found or "of another kind"
        raise MalformedSource(
            f"its ending is {suffix}, its content is {what}",
            where=name,
            fix="give it the ending of what it is, or export it anew from the program that made it",
        )
    if not expected and b"\x00" in head and not head.startswith(_MARKS) and not _is_wide_text(head):
        raise MalformedSource(
            "it holds NUL bytes and is no text", where=name, fix="export it as text, or give it its own ending"
        )


_PROGRAM = "a program"
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF"),
    (b"\xef\xbb\xbf%PDF-", "a PDF"),
    (b"PK\x03\x04", "a ZIP container"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"MZ", _PROGRAM),
    (b"\x7fELF", _PROGRAM),
    (b"\xfe\xed\xfa\xce", _PROGRAM),
    (b"\xfe\xed\xfa\xcf", _PROGRAM),
    (b"\xce\xfa\xed\xfe", _PROGRAM),
    (b"\xcf\xfa\xed\xfe", _PROGRAM),
    (b"\xca\xfe\xba\xbe", _PROGRAM),
    (b"\x00asm", _PROGRAM),
    (b"#!", "a script"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\xd0\xcf\x11\xe0", "an old Office file (doc, xls, ppt) or an installer"),
    (b"{\\rtf", "an RTF file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
)
_KINDS = {".pdf": "a PDF", ".docx": "a ZIP container", ".epub": "a ZIP container"}
_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


def _is_wide_text(head: bytes) -> bool:
    """Tell whether NULs stand at every second place alone, as in UTF-16 without a mark."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    return min(even, odd) == 0 and max(even, odd) > len(head) // 4


def _check_part(part: str) -> None:
    stem = part.partition(".")[0].rstrip()
    if _RESERVED.fullmatch(stem):
        raise _refused("holds a part that Windows reserves for a device")
    if part[-1] in ". " or part[0] == " ":
        raise _refused("holds a part that begins with a space, or ends with a space or a dot")
    if set(part) & _FORBIDDEN_ON_WINDOWS:
        raise _refused('holds one of < > : " | ? *')
    for character in part:
        if unicodedata.category(character) in _INVISIBLE or character in _BLANK:
            raise _refused(f"holds the invisible or unassigned character U+{ord(character):04X}")
        if character != " " and unicodedata.category(character) == "Zs":
            raise _refused(f"holds U+{ord(character):04X}, a space other than the ordinary one")
        if any(mark in ("/", "\\", ".") for mark in unicodedata.normalize("NFKC", character)) and character != ".":
            raise _refused(f"holds U+{ord(character):04X}, which reads as a slash or a dot")
        if character in "\u2044\u2215\u29f8\u2571\u2024\u2216\u29f5\u29f9":
            raise _refused(f"holds U+{ord(character):04X}, which reads as a slash or a dot")
    _check_scripts(part)


def _check_scripts(part: str) -> None:
    """Refuse a word that mixes Latin with letters made to pass for Latin, and letters that stand for Latin ones."""
    for word in re.findall(r"[^\W\d_]+", part):
        scripts = {unicodedata.name(letter, "UNKNOWN").split()[0] for letter in word}
        if "LATIN" in scripts and scripts & _LOOK_ALIKE_SCRIPTS:
            raise _refused("mixes letters of two scripts that look alike in one word")
        if scripts & {"MATHEMATICAL", "FULLWIDTH", "DOUBLE-STRUCK", "SCRIPT", "BLACK-LETTER"}:
            raise _refused("holds letters that are made to look like ordinary ones")
    ending = PurePosixPath(part).suffix
    words = re.findall(r"[^\W\d_]+", part.removesuffix(ending))
    if words and not any(letter.isascii() for word in words for letter in word):
        shown = "".join(words)
        if shown and all(letter in _LATIN_TWINS for letter in shown):
            raise _refused("is written in letters of another script that all look Latin")


# Cyrillic, Greek and Armenian letters drawn as a Latin letter is: Unicode Technical Standard 39, confusables.txt.
_LATIN_TWINS = frozenset("асеорхуіјѕһԁԛԝАВСЕНІЈКМОРЅТХУԌԚԜΑΒΕΖΗΙΚΜΝΟΡΤΥΧοναιρυօոսցհյՍՏՕ")


def _check_folders(name: str, other: str) -> None:
    """Refuse a new folder that is an existing one but for case or form: on other systems they are one."""
    mine, theirs = name.split("/")[:-1], other.split("/")[:-1]
    for a, b in zip(mine, theirs, strict=False):
        if a == b:
            continue
        if _skeleton(a) == _skeleton(b):
            raise NameTaken(
                "names a folder that is there in another spelling",
                where="document id",
                fix=f"use {ascii(b) if not b.isascii() else b}",
            )
        return


def _skeleton(name: str) -> str:
    """Return what two names share that one file system, or one reader, may take for the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _refused(rule: str) -> NameRefused:
    return NameRefused(f"the name {rule}", where="document id", fix=_FIX)
