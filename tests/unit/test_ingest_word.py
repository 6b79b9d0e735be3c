"""The docx reader: styles, lists, tables, notes, changes, hidden text, metadata, bad input."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

import pytest

from ingest.assemble import undo_repairs
from ingest.errors import MalformedSource, NoTextLayer, ProtectedSource, SourceTooLarge
from ingest.limits import Limits
from ingest.model import Extraction
from ingest.readers.word import read_word

LIMITS = Limits()
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
NAMESPACES = (
    f'xmlns:w="{W}" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:v="urn:schemas-microsoft-com:vml" xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
)
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
CORE = (
    '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title><dc:creator>Jane Doe; John Roe'
    "</dc:creator><cp:keywords>heroin, detox</cp:keywords><dc:language>en-GB</dc:language></cp:coreProperties>"
)
STYLES = (
    '<w:style w:type="paragraph" w:styleId="Title"><w:name w:val="Title"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/><w:pPr><w:outlineLvl w:val="0"/>'
    '</w:pPr></w:style><w:style w:type="paragraph" w:styleId="Own"><w:name w:val="House style"/>'
    '<w:basedOn w:val="Base"/></w:style><w:style w:type="paragraph" w:styleId="Base"><w:name w:val="Base"/>'
    '<w:basedOn w:val="Own"/><w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>'
    '<w:style w:type="paragraph" w:styleId="Loop"><w:name w:val="Loop"/><w:basedOn w:val="Loop"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="Caption"><w:name w:val="caption"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="TOC1"><w:name w:val="toc 1"/></w:style>'
)
NUMBERING = (
    '<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl><w:lvl w:ilvl="1">'
    '<w:numFmt w:val="bullet"/></w:lvl></w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>'
)


def p(text: str, style: str = "", item: int | None = None) -> str:
    properties = f'<w:pStyle w:val="{style}"/>' if style else ""
    properties += f'<w:numPr><w:ilvl w:val="{item}"/><w:numId w:val="1"/></w:numPr>' if item is not None else ""
    inner = text if text.startswith("<") else f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'
    return f"<w:p><w:pPr>{properties}</w:pPr>{inner}</w:p>"


def r(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def word(body: str, parts: dict[str, str] | None = None, core: str = "", raw: str = "") -> bytes:
    """Return a docx with this body; `parts` are further parts by name (footnotes, comments, header1, ...)."""
    packed = io.BytesIO()
    parts = {"styles": f"<w:styles {NAMESPACES}>{STYLES}</w:styles>", **(parts or {})}
    parts.setdefault("numbering", f"<w:numbering {NAMESPACES}>{NUMBERING}</w:numbering>")
    relations = "".join(
        f'<Relationship Id="r{n}" Type="{OFFICE}/{name.rstrip("0123456789")}" Target="{name}.xml"/>'
        for n, name in enumerate(parts)
    )
    xmlns = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
    with zipfile.ZipFile(packed, "w") as container:
        container.writestr(
            "[Content_Types].xml", '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
        )
        container.writestr(
            "_rels/.rels",
            f'<Relationships {xmlns}><Relationship Id="a" Type="{OFFICE}/officeDocument" Target="word/document.xml"/>'
            "</Relationships>",
        )
        container.writestr("word/_rels/document.xml.rels", f"<Relationships {xmlns}>{relations}</Relationships>")
        container.writestr("word/document.xml", raw or f"<w:document {NAMESPACES}><w:body>{body}</w:body></w:document>")
        for name, content in parts.items():
            container.writestr(f"word/{name}.xml", content)
        if core:
            container.writestr("docProps/core.xml", core)
    return packed.getvalue()


def read(data: bytes, limits: Limits = LIMITS) -> Extraction:
    return read_word(data, limits, "paper.docx")


def texts(extraction: Extraction) -> list[str]:
    return [extraction.text[b.start : b.end] for b in extraction.blocks]


def test_kinds_and_context() -> None:
    """This ensures that styles give headings, captions, contents lists; numbering gives lists with their lead-in."""
    row = "<w:tr>" + "".join(f"<w:tc>{p(r(c, '<w:b/>'))}</w:tc>" for c in ("Day", "Sign")) + "</w:tr>"
    data = "".join(f"<w:tc>{p(c)}</w:tc>" for c in ("1", "aches"))
    extraction = read(
        word(
            p("Coming off", "Title")
            + p("Contents ... 1", "TOC1")
            + p("Signs", "Heading1")
            + p("They include:")
            + p("sweat", item=0)
            + p("cold", item=1)
            + p("Own heading", "Own")
            + f"<w:tbl>{row}<w:tr>{data}</w:tr></w:tbl>"
            + p("A figure", "Caption")
        )
    )

    assert [(b.kind.value, b.level, b.context, b.furniture) for b in extraction.blocks] == [
        ("heading", 1, "", ""),
        ("paragraph", 0, "", "navigation"),
        ("heading", 1, "", ""),
        ("paragraph", 0, "", ""),
        ("list_item", 0, "They include:", ""),
        ("list_item", 0, "They include: sweat", ""),
        ("heading", 3, "", ""),
        ("table_row", 0, "", "table_header"),
        ("table_row", 0, "Day | Sign", ""),
        ("caption", 0, "", ""),
    ]
    assert extraction.blocks[8].heading_path == ("Signs", "Own heading")
    assert {b.element_id for b in extraction.blocks} == {""}


def test_tracked_changes_are_read_as_accepted() -> None:
    """This ensures that insertions and moved text stay, deletions go, and that the report says so."""
    body = p(
        f"{r('Take ')}<w:del><w:r><w:delText>20</w:delText></w:r></w:del><w:ins>{r('10')}</w:ins>{r(' mg')}"
        f"<w:moveFrom>{r(' gone')}</w:moveFrom><w:moveTo>{r(' here')}</w:moveTo>"
    )

    extraction = read(word(body))

    assert extraction.text == "Take 10 mg here"
    assert extraction.warnings == (
        "4 tracked changes: read as if all were accepted; accept or reject them in the file",
    )


def test_comments_are_left_out_and_counted() -> None:
    """This ensures that reviewers' comments never become text, and that the report counts them."""
    comments = f'<w:comments {NAMESPACES}><w:comment w:id="1">{p("is this right?")}</w:comment></w:comments>'
    body = p('<w:r><w:t>Text</w:t></w:r><w:r><w:commentReference w:id="1"/></w:r>')

    extraction = read(word(body, {"comments": comments}))

    assert extraction.text == "Text"
    assert extraction.warnings == ("1 reviewers' comments are not part of the text",)


def test_footnotes_stand_at_the_end() -> None:
    """This ensures that footnotes are kept, with the mark that Word puts into plain text, without mammoth's arrows."""
    notes = f'<w:footnotes {NAMESPACES}><w:footnote w:id="2">{p("The note.")}</w:footnote></w:footnotes>'
    body = p('<w:r><w:t>Text</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r>') + p("More.")

    extraction = read(word(body, {"footnotes": notes}))

    assert texts(extraction) == ["Text[1]", "More.", "The note."]
    assert extraction.warnings == ()


def test_headers_and_footers_are_furniture() -> None:
    """This ensures that running headers and footers are kept, each once, and never quoted."""
    part = "<w:hdr " + NAMESPACES + ">{}</w:hdr>"
    parts = {
        "header1": part.format(p("The Clinic")),
        "header2": part.format(p("The Clinic")),
        "footer1": part.format(p("Page")),
    }

    extraction = read(word(p("Text"), parts))

    assert [(extraction.text[b.start : b.end], b.furniture) for b in extraction.blocks] == [
        ("The Clinic", "running_header"),
        ("Text", ""),
        ("Page", "running_footer"),
    ]


def test_hidden_and_struck_out_text() -> None:
    """This ensures that hidden and struck-out words are repairs in a line and furniture by themselves."""
    body = (
        p(r("Take ") + r("not ", "<w:vanish/>") + r("two ", "<w:strike/>") + r("three", '<w:vanish w:val="0"/>'))
        + p(r("Secret", "<w:vanish/>"))
        + p(r("Old", "<w:dstrike/>"))
    )

    extraction = read(word(body))

    assert [(extraction.text[b.start : b.end], b.furniture) for b in extraction.blocks] == [
        ("Take three", ""),
        ("Secret", "hidden"),
        ("Old", "struck_out"),
    ]
    assert undo_repairs(extraction.text, extraction.repairs).startswith("Take not two three")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (p(f"<w:fldSimple w:instr='DATE'>{r('field')}</w:fldSimple>"), "field"),
        (p(f"<w:bdo w:val='rtl'>{r('turned')}</w:bdo>"), "turned"),
        (p("<w:r><w:t>a</w:t><w:cr/><w:t>b</w:t></w:r>"), "a\nb"),
        (p("<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:softHyphen/><w:t>c</w:t></w:r>"), "a bc"),
        (p("<m:oMathPara><m:oMath><m:r><m:t>x=2</m:t></m:r></m:oMath></m:oMathPara>"), "x=2"),
        (p(f"<w:ruby><w:rubyPr/><w:rt>{r('kan')}</w:rt><w:rubyBase>{r('漢')}</w:rubyBase></w:ruby>"), "漢"),
        (
            p(f"<w:smartTag>{r('smart')}</w:smartTag><w:sdt><w:sdtContent>{r(' box')}</w:sdtContent></w:sdt>"),
            "smart box",
        ),
        (
            p(
                "<w:r><mc:AlternateContent><mc:Choice><w:drawing><wp:anchor><wps:txbx><w:txbxContent>"
                f"{p('boxed')}</w:txbxContent></wps:txbx></wp:anchor></w:drawing></mc:Choice></mc:AlternateContent>"
                "<w:t>outside</w:t></w:r>"
            ),
            "outside\n\nboxed",
        ),
        (
            p(
                f"<w:r><mc:AlternateContent><mc:Choice><w:drawing><wps:txbx><w:txbxContent>{p('boxed')}"
                "</w:txbxContent></wps:txbx></w:drawing></mc:Choice><mc:Fallback><w:pict><v:shape><v:textbox>"
                f"<w:txbxContent>{p('boxed')}</w:txbxContent></v:textbox></v:shape></w:pict></mc:Fallback>"
                "</mc:AlternateContent><w:t>outside</w:t></w:r>"
            ),
            "outside\n\nboxed",
        ),
    ],
)
def test_what_mammoth_would_lose_is_kept(body: str, expected: str) -> None:
    """This ensures that fields, text boxes, formulas and odd breaks come out, each once, with no loss reported."""
    extraction = read(word(body))

    assert extraction.text == expected
    assert extraction.warnings == ()


def test_lost_letters_are_reported() -> None:
    """This ensures that text in a place that mammoth does not know is at least counted in the report."""
    extraction = read(word(p("kept") + p(f"<w:unheardOf>{r('lost')}</w:unheardOf>")))

    assert extraction.warnings == ("4 letters stand in places that could not be read (unusual shapes or fields)",)


def test_metadata() -> None:
    """This ensures that core properties are read and that Word's placeholder titles are not."""
    named = read(word(p("x"), core=CORE.format(title="Coming off")))
    placeholder = read(word(p("x"), core=CORE.format(title="Microsoft Word - draft3.doc")))

    assert named.metadata == {
        "title": "Coming off",
        "authors": ("Jane Doe", "John Roe"),
        "tags": ("heroin", "detox"),
        "language": "en-GB",
    }
    assert "title" not in placeholder.metadata


def zip_of(name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as container:
        container.writestr(name, "<x/>")
    return packed.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"%PDF-1.4", "a PDF"),
        (b"", "empty"),
        (zip_of("xl/workbook.xml"), "an Excel workbook"),
        (zip_of("a.txt"), "some other zip"),
        (zip_of("word/document.xml"), "is not a Word document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old", "an old Office file"),
        (word(p("x"))[:-30], "cut off"),
        (word("", raw="<w:document>"), "not well-formed"),
    ],
)
def test_what_is_no_document_is_malformed(data: bytes, message: str) -> None:
    """This ensures that each way of not being a docx is named."""
    with pytest.raises(MalformedSource, match=message):
        read(data)


def test_password_is_reported() -> None:
    """This ensures that an encrypted docx, which is an OLE file, asks for a copy without a password."""
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600 + "EncryptedPackage".encode("utf-16-le")

    with pytest.raises(ProtectedSource):
        read(data)


@pytest.mark.parametrize(
    "doctype", ['<!DOCTYPE x [<!ENTITY a "aaaa">]>', '<!DOCTYPE x SYSTEM "file:///etc/passwd">', "<!doctype x>"]
)
def test_document_types_are_refused(doctype: str) -> None:
    """This ensures that no part may have a document type, so no entity can be declared or fetched."""
    raw = f"<?xml version='1.0'?>{doctype}<w:document {NAMESPACES}><w:body>{p('x')}</w:body></w:document>"

    with pytest.raises(MalformedSource, match=r"entities|document type"):
        read(word("", raw=raw))


def test_broken_structure_is_malformed() -> None:
    """This ensures that what makes mammoth stumble is reported as damage of the file."""
    body = "<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val='many'/></w:tcPr></w:tc></w:tr></w:tbl>"

    with pytest.raises(MalformedSource, match="broken inside"):
        read(word(body))


def test_empty_document_has_no_text() -> None:
    """This ensures that a document without text is reported."""
    with pytest.raises(NoTextLayer):
        read(word(p("")))


def test_deep_documents_are_refused_before_recursion() -> None:
    """This ensures that nesting that a recursive reader could not bear is refused, and that what is allowed works."""
    deepest = p("x")
    for _ in range(31):
        deepest = f"<w:tbl><w:tr><w:tc>{deepest}</w:tc></w:tr></w:tbl>"

    assert read(word(deepest)).text == "x"
    with pytest.raises(SourceTooLarge, match="100"):
        read(word(f"<w:tbl><w:tr><w:tc>{deepest}</w:tc></w:tr></w:tbl>"))
    with pytest.raises(SourceTooLarge):
        read(word("<w:ins>" * 5_000 + "</w:ins>" * 5_000))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_unpacked_bytes": 3_000}, "3000"),
        ({"max_members": 2}, "cap is 2"),
        ({"max_text_chars": 100}, "cap is 100"),
        ({"max_seconds": -1.0}, "seconds"),
        ({"max_bytes": 100}, "cap is 100"),
    ],
)
def test_caps(changes: dict[str, float], message: str) -> None:
    """This ensures that every cap holds for Word documents."""
    with pytest.raises(SourceTooLarge, match=message):
        read(word(p("word " * 1_000)), replace(LIMITS, **changes))  # type: ignore[arg-type]


def test_too_many_elements_are_refused_unparsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a document of very many small elements is refused before they fill the memory."""
    monkeypatch.setattr("ingest.readers.word_parts.MAX_ELEMENTS", 1_000)

    with pytest.raises(SourceTooLarge, match="XML tags"):
        read(word("<w:p/>" * 3_000))
