"""Which names and contents may be uploaded; property tests over names included."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.errors import AppError, MalformedSource, UnsupportedSource
from service.errors import NameRefused, NameTaken
from service.uploads import check_content, check_name, check_no_twin, check_place


@pytest.mark.parametrize(
    "name",
    [
        "naloxone.md",
        "guides/naloxone v2.PDF",
        "guías/metadona.html",
        "leaflets/Méthadone (2024), édition 3.docx",
        "медицина/налоксон.md",
        "薬/ナロキソン.txt",
        "a.b/c-d_e+f&g's.epub",
        "конец.md",
    ],
)
def test_ordinary_names_are_taken(name: str) -> None:
    """This ensures that names people give to documents, in any language, are taken as they are."""
    assert check_name(name) == name


REFUSED = {
    "parent": "../x.md",
    "parent inside": "a/../../x.md",
    "dot": "./x.md",
    "absolute": "/etc/x.md",
    "drive": "C:x.md",
    "drive path": "c:\\x.md",
    "empty": "",
    "empty part": "a//x.md",
    "trailing slash": "a/x.md/",
    "nul": "x\0.md",
    "control": "x\x07.md",
    "new line": "x\n.md",
    "delete": "x\x7f.md",
    "backslash": "a\\x.md",
    "long": "a" * 200 + "/" + "b" * 200 + ".md",
    "long part": "a" * 253 + ".md",
    "long part in bytes": "é" * 127 + ".md",
    "deep": "a/" * 16 + "x.md",
    "hidden": ".x.md",
    "hidden folder": ".git/x.md",
    "office lock": "~$x.docx",
    "reserved": "con.md",
    "reserved in capitals": "a/NUL.txt",
    "reserved with two endings": "LPT1.old.md",
    "reserved with superscript": "com².md",
    "reserved folder": "aux/x.md",
    "trailing dot": "a./x.md",
    "trailing space": "a /x.md",
    "leading space": " x.md",
    "wildcard": "x*.md",
    "stream": "x.md:evil.md",
    "not composed": unicodedata.normalize("NFD", "é.md"),
    "right to left": "x\u202egpj.md",
    "zero width": "na\u200bloxone.md",
    "word joiner": "na\u2060loxone.md",
    "byte order mark": "\ufeffx.md",
    "tag": "x\U000e0041.md",
    "hangul filler": "x\u3164.md",
    "variation selector": "x\ufe0f.md",
    "no-break space": "x\u00a0y.md",
    "line separator": "x\u2028.md",
    "private use": "x\ue000.md",
    "surrogate": "x\ud800.md",
    "replacement": "x\ufffd.md",
    "cyrillic letter in a latin word": "nаloxone.md",
    "greek letter in a latin word": "nalοxone.md",
    "all look-alikes": "сосо.md",
    "mathematical letters": "𝐧𝐚𝐥.md",
    "full width": "ｎａｌ.md",
    "division slash": "a∕x.md",
    "fraction slash": "a⁄x.md",
    "one dot leader": "a․x.md",
    "full-width dot": "a．x.md",
}


@pytest.mark.parametrize("name", REFUSED.values(), ids=REFUSED.keys())
def test_dangerous_names_are_refused(name: str) -> None:
    """This ensures that a name that leads out, hides, misleads or fails elsewhere is refused by its rule."""
    with pytest.raises(NameRefused) as caught:
        check_name(name)

    assert caught.value.where == "document id"
    assert caught.value.what.isprintable()


@pytest.mark.parametrize("name", ["library.toml", "Library.TOML", "notices.toml", "ｌexicon.toml"])
def test_settings_of_the_library_are_not_documents(name: str) -> None:
    """This ensures that an upload can't configure the library, however the name is spelt."""
    with pytest.raises(NameRefused):
        check_name(name)


@pytest.mark.parametrize("name", ["run.exe", "x", "x.md.exe", "a/x.toml", "x.tar.gz", "x.", "x.py"])
def test_other_kinds_are_refused(name: str) -> None:
    """This ensures that only files that a reader takes are stored."""
    with pytest.raises((UnsupportedSource, NameRefused)):
        check_name(name)


@given(st.text(max_size=60).map(lambda text: f"{text}.md"))
@example("a/b.md")
@example("..md")
def test_what_is_taken_stays_inside(name: str) -> None:
    """This ensures that a taken name is relative, visible, composed, printable, and means the same everywhere."""
    try:
        check_name(name)
    except AppError:
        return

    parts = PurePosixPath(name).parts
    assert "/".join(parts) == name
    assert all(part not in ("..", ".", "/") and not part.startswith(".") for part in parts)
    assert name.isprintable()
    assert unicodedata.normalize("NFC", name) == name
    assert not set(name) & set('\\:*?"<>|')
    assert check_place(name) == name


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("Naloxone.md", "naloxone.md"),
        ("straße.md", "STRASSE.md"),
        ("ﬁrst.md", "first.md"),
        ("guides", "guides/x.md"),
        ("guides/x.md/y.md", "guides/x.md"),
        ("Guides/y.md", "guides/x.md"),
        ("a/B/y.md", "a/b/x.md"),
    ],
)
def test_twins_are_refused(name: str, there: str) -> None:
    """This ensures that two documents never differ by case or form alone, nor a file and a folder by nothing."""
    with pytest.raises(NameTaken):
        check_no_twin(name, ["other.md", there])


def test_same_name_is_no_twin() -> None:
    """This ensures that a document can be replaced, and that others of its folder don't matter."""
    check_no_twin("guides/x.md", ["guides/x.md", "guides/y.md", "guide/x.md", "guides.md"])


PROGRAMS = {"windows": b"MZ\x90\x00", "linux": b"\x7fELF\x02", "mac": b"\xcf\xfa\xed\xfe", "script": b"#!/bin/sh\n"}


@pytest.mark.parametrize("suffix", [".pdf", ".docx", ".epub", ".txt", ".md", ".html"])
@pytest.mark.parametrize("head", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_programs_are_refused_whatever_they_are_called(suffix: str, head: bytes) -> None:
    """This ensures that an executable with a document's ending is refused."""
    with pytest.raises(MalformedSource):
        check_content(f"x{suffix}", head + b"%PDF-1.7 PK\x03\x04")


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("x.pdf", b"%PDF-1.7\n"),
        ("x.pdf", b"\r\n%PDF-1.4"),
        ("x.docx", b"PK\x03\x04"),
        ("x.EPUB", b"PK\x03\x04"),
        ("x.txt", b"text"),
        ("x.txt", "text".encode("utf-16")),
        ("x.txt", "text of some length".encode("utf-16-le")),
        ("x.html", b"<!doctype html>"),
        ("x.md", "# Überdosis".encode()),
    ],
)
def test_documents_of_their_kind_are_taken(name: str, head: bytes) -> None:
    """This ensures that a file that begins as its ending says goes on to its reader."""
    check_content(name, head)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("x.pdf", b"PK\x03\x04"),
        ("x.pdf", b"text"),
        ("x.docx", b"%PDF-1.7"),
        ("x.docx", b"\xd0\xcf\x11\xe0"),
        ("x.txt", b"\x89PNG\r\n"),
        ("x.md", b"PK\x03\x04"),
        ("x.html", b"GIF89a"),
        ("x.txt", b"abc\x00\x01\x00\x00def"),
        ("x.txt", b""),
    ],
)
def test_other_contents_are_refused(name: str, head: bytes) -> None:
    """This ensures that ending and content must agree."""
    with pytest.raises(MalformedSource) as caught:
        check_content(name, head)

    assert caught.value.where == name
