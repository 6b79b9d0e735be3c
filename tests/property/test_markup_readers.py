"""Properties of the html, docx and epub readers over generated trees, arbitrary bytes and damaged files."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.assemble import undo_repairs
from ingest.errors import SourceError
from ingest.limits import Limits
from ingest.model import BlockKind, Extraction
from ingest.readers.cleaning import Run, clean_text, collapse_runs
from ingest.readers.epub import read_epub
from ingest.readers.survey import words
from ingest.readers.web_page import read_web_page
from ingest.readers.word import read_word

LIMITS = Limits(max_seconds=30.0)
PROFILE = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])

TAGS = sorted(
    words(
        "div p span b i em a section article main aside nav header footer ul ol li dl dt dd blockquote "
        "pre details summary figure figcaption table thead tbody tr td th caption h1 h2 h3 h6 form "
        "button label fieldset legend select option textarea center font code q sub sup ins mark "
        "custom-part noscript address hgroup dialog math mi object"
    )
)
ATTRIBUTES = [
    *("", "", "", ' class="sidebar"', ' class="comments"', ' id="x"', " hidden", ' style="display:none"', ' href="#a"'),
    *(' href="/b"', ' role="navigation"', ' role="presentation"', ' aria-hidden="true"', ' class="related-posts"'),
    *(' class="cookie-banner"', ' rowspan="3"', ' role="heading"'),
]
# Their content is one run of characters to an HTML parser: tags in it would be text.
LEAVES = {"textarea"}


def check_blocks(extraction: Extraction) -> None:
    """Assert what every Extraction promises."""
    extraction.text.encode("utf-8")
    previous = 0
    for block in extraction.blocks:
        piece = extraction.text[block.start : block.end]
        assert previous <= block.start < block.end <= len(extraction.text)
        assert piece == piece.strip()
        assert (block.level in range(1, 7)) == (block.kind is BlockKind.HEADING)
        assert not extraction.text[previous : block.start].strip()
        previous = block.end
    assert not extraction.text[previous:].strip()
    assert "\x00" not in extraction.text
    for repair in extraction.repairs:
        assert 0 <= repair.start <= repair.end <= len(extraction.text)
    undo_repairs(extraction.text, extraction.repairs).encode("utf-8")


@st.composite
def pages(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Return a page and its words in order; some carry characters that a repair takes out."""
    numbers = count()
    found: list[str] = []

    def leaf() -> str:
        junk = draw(st.sampled_from(["", "", "", "\u00ad", "\u200b", "\ufb01"]))
        word = f"w{next(numbers)}{junk}x"
        found.append(word)
        return draw(st.sampled_from([" {} ", "\n{}\n", " {}\t", "&nbsp;{} "])).format(word)

    def element(depth: int) -> str:
        tag = draw(st.sampled_from(TAGS))
        attribute = draw(st.sampled_from(ATTRIBUTES))
        inner = leaf() if tag in LEAVES or depth == 0 else children(depth - 1)
        close = "" if tag in ("p", "li", "dt", "dd", "td", "tr") and draw(st.booleans()) else f"</{tag}>"
        return f"<{tag}{attribute}>{inner}{close}"

    def children(depth: int) -> str:
        n = draw(st.integers(0, 4))
        parts = [leaf() if draw(st.booleans()) else element(depth) for _ in range(n)]
        noise = st.sampled_from(
            ["", "", "<br>", "<hr>", "<!-- c -->", "<script>no()</script>", "<style>no</style>", "<img>"]
        )
        return "".join(part + draw(noise) for part in parts)

    return children(5), found


def repaired(word: str) -> str:
    return word.replace("\u00ad", "").replace("\u200b", "").replace("\ufb01", "fi")


@PROFILE
@given(pages())
def test_every_word_comes_out_once_and_in_order(page: tuple[str, list[str]]) -> None:
    """This ensures that no tree loses, repeats or moves a word, and that undone repairs give the words as written."""
    html, expected = page
    if not expected:
        return

    extraction = read_web_page(html.encode(), LIMITS, "x.html")

    check_blocks(extraction)
    undone = undo_repairs(extraction.text, extraction.repairs)
    assert re.findall(r"w\d+[\u00ad\u200b\ufb01]?x", undone) == expected
    cut = " ".join(r.original for r in extraction.repairs if r.rule == "hidden")
    shown = [word for word in expected if word not in cut]
    assert re.findall(r"w\d+(?:fi)?x", extraction.text) == [repaired(word) for word in shown]


@PROFILE
@given(pages())
def test_chapters_keep_every_word(page: tuple[str, list[str]]) -> None:
    """This ensures the same for a chapter of a book, well-formed or not, and for what stands around it."""
    html, expected = page
    chapter = f'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><p>start</p>{html}</body></html>'
    book = pack({**BOOK, "OEBPS/a.xhtml": chapter.encode()})

    extraction = read_epub(book, LIMITS, "x.epub")

    check_blocks(extraction)
    undone = undo_repairs(extraction.text, extraction.repairs)
    assert re.findall(r"w\d+[\u00ad\u200b\ufb01]?x", undone) == expected


RUNS = st.builds(
    Run,
    text=st.text(alphabet="ab \n\t\r\u00a0\u00ad\u200b\u200d\ufb01\x0b\x85\x01\x00\u2028\ud800é", max_size=6),
    cut=st.sampled_from(["", "", "hidden", "struck_out"]),
    is_preformatted=st.booleans(),
    is_break=st.sampled_from([False, False, True]),
)


@settings(deadline=None, max_examples=1_000)
@given(st.lists(RUNS, max_size=7))
def test_repairs_of_a_block_can_be_undone(runs: list[Run]) -> None:
    """This ensures that undoing a block's repairs gives its raw text, and that nothing visible is repaired away."""
    raw, cuts = collapse_runs(runs)

    cleaned = clean_text(raw, cuts)

    assert undo_repairs(cleaned.text, cleaned.repairs) == raw
    assert cleaned.text == cleaned.text.strip()
    cleaned.text.encode("utf-8")
    visible = "".join(c for run in runs if not run.cut and not run.is_break for c in run.text if c in "abé")
    assert "".join(c for c in cleaned.text if c in "abé") == visible
    if not any(run.is_preformatted for run in runs):
        assert "  " not in cleaned.text


MARKUP = st.lists(
    st.one_of(
        st.sampled_from([f"{start}{tag}>" for tag in TAGS for start in ("<", "</")]),
        st.sampled_from(
            [
                *("<!--", "-->", "<script>", "</script>", "<![CDATA[", "]]>", "<?xml", "?>", "<!DOCTYPE html>", "&#0;"),
                *("&amp", "&#xD800;", "<svg>", "</body>", "</html>", "<html xmlns='http://www.w3.org/1999/xhtml'>"),
                *("<title>", "<br>", "<template>", "<meta charset=utf-16>", "<a href=", "'", '"', ">", "<", "="),
                *("<h1 id='", "<base href=//x>", "<script type='application/ld+json'>", "[", "{", "}", "\ufeff"),
                *('{"@type":"Article","author":', "<math>"),
            ]
        ),
        st.text(max_size=8),
    ),
    max_size=40,
).map("".join)


@PROFILE
@given(MARKUP)
def test_any_markup_is_read_or_refused(html: str) -> None:
    """This ensures that markup of any shape gives sound blocks or a SourceError."""
    try:
        extraction = read_web_page(html.encode("utf-8", "replace"), LIMITS, "x.html")
    except SourceError:
        return

    check_blocks(extraction)


@pytest.mark.parametrize("read", [read_web_page, read_word, read_epub])
def test_any_bytes_are_read_or_refused(read: Callable[[bytes, Limits, str], Extraction]) -> None:
    """This ensures that arbitrary bytes, also behind a zip's signature, never raise anything but a SourceError."""

    @PROFILE
    @given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(b"PK\x03\x04".__add__)))
    def check(data: bytes) -> None:
        try:
            extraction = read(data, LIMITS, "x")
        except SourceError:
            return
        check_blocks(extraction)

    check()


def pack(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as container:
        for name, content in members.items():
            container.writestr(name, content)
    return packed.getvalue()


BOOK = {
    "mimetype": b"application/epub+zip",
    "META-INF/container.xml": b'<container><rootfiles><rootfile full-path="OEBPS/b.opf"/></rootfiles></container>',
    "META-INF/encryption.xml": b"<encryption/>",
    "OEBPS/b.opf": (
        b'<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>'
        b'T</dc:title><dc:date>2020-01-02</dc:date></metadata><manifest><item id="a" href="a.xhtml" '
        b'media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>'
    ),
    "OEBPS/a.xhtml": (
        b"<html xmlns='http://www.w3.org/1999/xhtml'><body><h1 id='x'>One</h1><p>two &amp; three</p></body></html>"
    ),
}
_W = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_REL = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
PAPER = {
    "[Content_Types].xml": b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
    "word/_rels/document.xml.rels": b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    b'<Relationship Id="r1" Type="'
    + _REL
    + b'styles" Target="styles.xml"/><Relationship Id="r2" Type="'
    + _REL
    + b'numbering" Target="numbering.xml"/><Relationship Id="r3" Type="'
    + _REL
    + b'footnotes" Target="footnotes.xml"/></Relationships>',
    "word/styles.xml": b"<w:styles " + _W + b'><w:style w:type="paragraph" w:styleId="S"><w:name w:val="heading 1"/>'
    b'<w:basedOn w:val="S"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style></w:styles>',
    "word/numbering.xml": b"<w:numbering " + _W + b'><w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:numFmt '
    b'w:val="bullet"/></w:lvl></w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>',
    "word/footnotes.xml": b"<w:footnotes " + _W + b'><w:footnote w:id="2"><w:p><w:r><w:t>note</w:t></w:r></w:p>'
    b"</w:footnote></w:footnotes>",
    "word/document.xml": b"<w:document " + _W + b'><w:body><w:p><w:pPr><w:pStyle w:val="S"/></w:pPr><w:r><w:t>One</w:t>'
    b'</w:r></w:p><w:p><w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr></w:pPr><w:ins w:id="1"><w:r>'
    b'<w:rPr><w:vanish/><w:highlight w:val="red"/></w:rPr><w:t>two</w:t><w:footnoteReference w:id="2"/><w:sym '
    b'w:font="x" w:char="F0B7"/></w:r></w:ins></w:p><w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="2"/><w:vMerge/>'
    b'</w:tcPr><w:p><w:hyperlink w:anchor="a"><w:r><w:t>3</w:t></w:r></w:hyperlink></w:p></w:tc></w:tr></w:tbl>'
    b"</w:body></w:document>",
}


def damaged(members: dict[str, bytes]) -> st.SearchStrategy[bytes]:
    """Return archives with one member's content damaged and packed anew, or with the archive's own bytes damaged."""
    tokens = sorted(
        {token for content in members.values() for token in re.findall(rb"[\w:]+|</?[\w:]+|[^\w\s]", content)}
    )

    def splice(data: bytes, at: float, n_out: int, put_in: bytes) -> bytes:
        start = int(at * len(data))
        return data[:start] + put_in + data[start + n_out :]

    pieces = st.one_of(st.binary(max_size=4), st.sampled_from(tokens), st.just(b""))
    where = st.floats(0, 1)
    inside = st.builds(
        lambda name, at, n_out, put_in: pack({**members, name: splice(members[name], at, n_out, put_in)}),
        st.sampled_from(sorted(members)),
        where,
        st.integers(0, 30),
        pieces,
    )
    missing = st.sampled_from(sorted(members)).map(lambda name: pack({k: v for k, v in members.items() if k != name}))
    outside = st.builds(splice, st.just(pack(members)), where, st.integers(0, 200), st.binary(max_size=6))
    return st.one_of(inside, inside, missing, outside)


@settings(PROFILE, max_examples=400)
@given(damaged(BOOK))
def test_damaged_books_are_read_or_refused(data: bytes) -> None:
    """This ensures that a damaged book gives sound blocks or a SourceError, whatever part is hit."""
    try:
        extraction = read_epub(data, LIMITS, "x.epub")
    except SourceError:
        return

    check_blocks(extraction)


@settings(PROFILE, max_examples=400)
@given(damaged(PAPER))
def test_damaged_documents_are_read_or_refused(data: bytes) -> None:
    """This ensures that a damaged Word document gives sound blocks or a SourceError, whatever part is hit."""
    try:
        extraction = read_word(data, LIMITS, "x.docx")
    except SourceError:
        return

    check_blocks(extraction)


def test_the_undamaged_ones_are_read() -> None:
    """This ensures that the files that are damaged above are read when they are whole."""
    assert read_epub(pack(BOOK), LIMITS, "x").text == "One\n\ntwo & three"
    assert read_word(pack(PAPER), LIMITS, "x").text.startswith("One\n\n")
