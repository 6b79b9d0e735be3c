"""The EPUB reader: spine order, chapters, metadata, protection, bad input."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from datetime import date

import pytest

from ingest.errors import MalformedSource, NoTextLayer, ProtectedSource, SourceError, SourceTooLarge
from ingest.limits import Limits
from ingest.model import Extraction
from ingest.readers.epub import read_epub

LIMITS = Limits()
CONTAINER = (
    '<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
METADATA = """<dc:title>Coming Off</dc:title><dc:creator id="c1">Jane Doe</dc:creator>
<dc:creator opf:role="ill">A Painter</dc:creator><dc:creator id="c2">John Roe</dc:creator>
<meta refines="#c2" property="role">edt</meta><dc:publisher>The Press</dc:publisher>
<dc:date opf:event="modification">2022-01-01</dc:date><dc:date>2019-05-06T00:00:00Z</dc:date>
<dc:language>en_GB</dc:language><dc:rights>https://creativecommons.org/licenses/by/4.0/</dc:rights>
<dc:identifier>urn:uuid:1</dc:identifier><dc:identifier>https://press.example/off</dc:identifier>"""


def chapter(body: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml" '
        f'xmlns:epub="http://www.idpf.org/2007/ops"><head><title>t</title></head><body>{body}</body></html>'
    )


def book(chapters: dict[str, str], extra: dict[str, str] | None = None, **changed: str) -> bytes:
    """Return an EPUB with these chapters in this order; `changed` replaces container, metadata or spine."""
    types = {".svg": "image/svg+xml"}
    manifest = "".join(
        f'<item id="i{n}" href="{name}" media-type="{types.get(name[-4:], "application/xhtml+xml")}"'
        f"{' properties=' + chr(34) + 'nav' + chr(34) if name.startswith('nav') else ''}/>"
        for n, name in enumerate(chapters)
    )
    spine = changed.get("spine") or "".join(f'<itemref idref="i{n}"/>' for n in range(len(chapters)))
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'xmlns:opf="http://www.idpf.org/2007/opf"><metadata>{changed.get("metadata", METADATA)}</metadata>'
        f"<manifest>{manifest}</manifest><spine>{spine}</spine></package>"
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as container:
        container.writestr("mimetype", "application/epub+zip")
        container.writestr("META-INF/container.xml", changed.get("container", CONTAINER))
        container.writestr("OEBPS/book.opf", changed.get("opf", opf))
        for name, text in chapters.items():
            if text:
                container.writestr(f"OEBPS/{name}", text)
        for name, text in (extra or {}).items():
            container.writestr(name, text)
    return packed.getvalue()


def read(data: bytes, limits: Limits = LIMITS) -> Extraction:
    return read_epub(data, limits, "book.epub")


def blocks(extraction: Extraction) -> list[tuple[str, str, str]]:
    return [(extraction.text[b.start : b.end], b.element_id, b.furniture) for b in extraction.blocks]


def test_chapters_come_in_spine_order() -> None:
    """This ensures that the spine decides the order, and that element ids name the chapter's file."""
    data = book(
        {"two.xhtml": chapter("<h1 id='b'>Two</h1><p>b"[:-1] + "b</p>"), "one.xhtml": chapter("<h1>One</h1><p>a</p>")},
        spine='<itemref idref="i1"/><itemref idref="i0"/><itemref idref="i1"/>',
    )

    extraction = read(data)

    assert blocks(extraction) == [
        ("One", "OEBPS/one.xhtml", ""),
        ("a", "OEBPS/one.xhtml", ""),
        ("Two", "OEBPS/two.xhtml#b", ""),
        ("b", "OEBPS/two.xhtml#b", ""),
    ]
    assert extraction.blocks[3].heading_path == ("Two",)


def test_metadata() -> None:
    """This ensures that title, authors (no painters, no editors), publisher, date, language, licence, url are read."""
    extraction = read(book({"a.xhtml": chapter("<p>x</p>")}))

    assert extraction.metadata == {
        "title": "Coming Off",
        "authors": ("Jane Doe",),
        "publisher": "The Press",
        "published": date(2019, 5, 6),
        "language": "en-GB",
        "license": "CC BY 4.0",
        "url": "https://press.example/off",
    }


def test_contents_are_furniture_and_notes_are_not() -> None:
    """This ensures that navigation documents and contents pages are marked, headers, asides and footnotes kept."""
    links = "".join(f'<p><a href="a.xhtml#{n}">Chapter number {n}</a></p>' for n in range(4))
    data = book(
        {
            "nav.xhtml": chapter("<nav epub:type='toc'><ol><li><a href='a.xhtml'>A</a></li></ol></nav><p>More</p>"),
            "toc.xhtml": chapter(f"<div>{links}</div>"),
            "a.xhtml": chapter(
                "<header><h1>A</h1></header><p>one<span epub:type='pagebreak'>12</span> two</p>"
                "<aside epub:type='footnote'><p>A note.</p></aside><footer><p>End.</p></footer>"
            ),
        }
    )

    found = blocks(read(data))

    assert [(text, rule) for text, _, rule in found] == [
        ("A", "contents_list"),
        ("More", "contents_list"),
        *[(f"Chapter number {n}", "contents_list") for n in range(4)],
        ("A", ""),
        ("one two", ""),
        ("A note.", ""),
        ("End.", ""),
    ]


def test_broken_chapters_are_read_as_html_and_reported() -> None:
    """This ensures that a chapter that is not well-formed is read all the same, with a warning."""
    extraction = read(book({"a.xhtml": chapter("<p>one<br>two & three</p>"), "b.xhtml": chapter("<p>a&nbsp;b</p>")}))

    assert extraction.text == "one\ntwo & three\n\na\u00a0b"
    assert extraction.warnings == ("chapter 'OEBPS/a.xhtml' is not well-formed; it was read as HTML",)


def test_missing_and_foreign_chapters_are_reported() -> None:
    """This ensures that chapters that can't be read are each named in the report and lose nothing else."""
    data = book(
        {"gone.xhtml": "", "../../etc/passwd": "", "pic.svg": "<svg/>", "a.xhtml": chapter("<p>x</p>")},
        spine='<itemref idref="none"/>' + "".join(f'<itemref idref="i{n}"/>' for n in range(4)),
    )

    extraction = read(data)

    assert extraction.text == "x"
    assert len(extraction.warnings) == 4
    assert "'OEBPS/gone.xhtml' is missing" in extraction.warnings[1]


ENCRYPTED = (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:enc="http://www.w3.org/2001/04/xmlenc#">'
    '<enc:EncryptedData><enc:EncryptionMethod Algorithm="{algorithm}"/><enc:CipherData><enc:CipherReference '
    'URI="{uri}"/></enc:CipherData></enc:EncryptedData></encryption>'
)


def test_protected_books_are_refused() -> None:
    """This ensures that a book with copy protection is reported as protected."""
    encryption = ENCRYPTED.format(algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc", uri="OEBPS/a.xhtml")

    with pytest.raises(ProtectedSource, match=r"a\.xhtml"):
        read(book({"a.xhtml": chapter("<p>x</p>")}, {"META-INF/encryption.xml": encryption}))


def test_obfuscated_fonts_are_no_protection() -> None:
    """This ensures that a book whose fonts alone are garbled is read."""
    encryption = ENCRYPTED.format(algorithm="http://www.idpf.org/2008/embedding", uri="OEBPS/f.otf")

    assert read(book({"a.xhtml": chapter("<p>x</p>")}, {"META-INF/encryption.xml": encryption})).text == "x"


@pytest.mark.parametrize("part", ["chapter", "opf", "container"])
def test_entity_declarations_are_refused(part: str) -> None:
    """This ensures that no part of a book may declare entities, so none can expand."""
    bomb = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><x title="&b;">&b;</x>'
    content = {"a.xhtml": bomb if part == "chapter" else chapter("<p>x</p>")}

    with pytest.raises(MalformedSource, match="entities"):
        read(book(content, **({} if part == "chapter" else {part: bomb})))


def test_utf16_does_not_hide_entities() -> None:
    """This ensures that an entity declaration in UTF-16 is seen as well."""
    bomb = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x [<!ENTITY a "aa">]><x>&a;</x>'.encode("utf-16")
    packed = io.BytesIO(book({"a.xhtml": ""}))
    with zipfile.ZipFile(packed, "a") as container:
        container.writestr("OEBPS/a.xhtml", bomb)

    with pytest.raises(MalformedSource, match="entities"):
        read(packed.getvalue())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"%PDF-1.4", "a PDF"),
        (book({"a.xhtml": ""}, container="<x/>"), "names no package"),
        (book({"a.xhtml": ""}, container="<x>"), "not well-formed"),
        (book({"a.xhtml": ""}, container=CONTAINER.replace("book.opf", "no.opf")), "no.opf"),
        (book({}), "no chapters"),
        (book({"a.xhtml": chapter("x")})[:-40], "cut off"),
    ],
)
def test_what_is_no_book_is_malformed(data: bytes, message: str) -> None:
    """This ensures that each way of not being a book is named."""
    with pytest.raises(MalformedSource, match=message):
        read(data)


def test_other_zips_are_named() -> None:
    """This ensures that a Word document under the ending .epub is called one."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as container:
        container.writestr("word/document.xml", "<x/>")

    with pytest.raises(MalformedSource, match="a Word document"):
        read(packed.getvalue())


def test_book_of_images_has_no_text() -> None:
    """This ensures that a book without text is reported with its first reason."""
    with pytest.raises(NoTextLayer, match="missing"):
        read(book({"gone.xhtml": ""}))
    with pytest.raises(NoTextLayer):
        read(book({"a.xhtml": chapter("<img src='x' alt=''/>")}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_unpacked_bytes": 3_000}, "3000"),
        ({"max_members": 2}, "cap is 2"),
        ({"max_depth": 20}, "20"),
        ({"max_text_chars": 100}, "cap is 100"),
        ({"max_seconds": -1.0}, "seconds"),
        ({"max_bytes": 100}, "cap is 100"),
    ],
)
def test_caps(changes: dict[str, float], message: str) -> None:
    """This ensures that every cap holds for books, depth also within one chapter."""
    data = book({"a.xhtml": chapter("<div>" * 30 + "word " * 1_000 + "</div>" * 30)})

    with pytest.raises(SourceTooLarge, match=message):
        read(data, replace(LIMITS, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [254, 900])
def test_deep_chapters_lose_nothing(n: int) -> None:
    """This ensures that deep nesting below the cap keeps all text, whether read as XML or as HTML."""
    deep = "<div>" * n + "deep" + "</div>" * n + "<p>after</p>"

    assert read(book({"a.xhtml": chapter(deep)})).text == "deep\n\nafter"
    assert read(book({"a.xhtml": chapter(deep + "<br>")})).text == "deep\n\nafter"


def test_a_chapter_over_the_depth_cap_is_an_error() -> None:
    """This ensures that a book is not read without a chapter that was too deep."""
    with pytest.raises(SourceError):
        read(book({"a.xhtml": chapter("<div>" * 3_000 + "x" + "</div>" * 3_000)}))
