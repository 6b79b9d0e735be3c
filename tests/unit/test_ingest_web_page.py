"""The HTML reader: reading order, kinds, white space, repairs, bad input."""

from __future__ import annotations

from dataclasses import replace

import pytest
from web_page_support import LIMITS, PROSE, read, rules, shown, texts

from ingest.assemble import undo_repairs
from ingest.errors import MalformedSource, NoTextLayer, SourceTooLarge
from ingest.model import BlockKind
from ingest.readers.web_page import declared_charset, read_web_page


class TestBlocks:
    """What becomes a block, in which order, of which kind."""

    def test_kinds_in_reading_order(self) -> None:
        """This ensures that headings, paragraphs, list items, rows and captions come in order with their kinds."""
        extraction = read(
            "<h1>Title</h1><p>One.<p>Two.<ul><li>item</ul><table><caption>Cap</caption><tr><th>A<th>B<tr><td>1<td>2"
            "</table><figure><img src=x><figcaption>Fig</figcaption></figure>bare <div>div</div> tail"
        )

        assert shown(extraction) == [
            ("heading", "Title"),
            ("paragraph", "One."),
            ("paragraph", "Two."),
            ("list_item", "item"),
            ("caption", "Cap"),
            ("table_row", "1 | 2"),
            ("caption", "Fig"),
            ("paragraph", "bare"),
            ("paragraph", "div"),
            ("paragraph", "tail"),
        ]

    @pytest.mark.parametrize(
        ("html", "expected"),
        [
            ("<p> a\n  <b> b</b>\tc </p>", ["a b c"]),
            ("<p>with<b>in</b> word", ["within word"]),
            ("<p>one<br>two", ["one\ntwo"]),
            ("<p>one <br/> two<br>", ["one\ntwo"]),
            ("<p>one<br> <br>two", ["one", "two"]),
            ("<pre>\n  a\n    b  c\n</pre>", ["a\n    b  c"]),
            ("<p>a&nbsp;b\u2003c", ["a\u00a0b\u2003c"]),
            ("<p>a<script>x()</script>b<style>y</style><!-- c --><template>t</template>", ["ab"]),
            ("<blockquote>q<p>r</blockquote>s", ["q", "r", "s"]),
            ("<p>a<hr>b", ["a", "b"]),
            ("<p>x<svg><text>drawn</text></svg>y", ["xy"]),
            ("<p>x<svg><path><p>after an unclosed drawing", ["x", "after an unclosed drawing"]),
            ("<custom-a>one</custom-a> <custom-b>two</custom-b>", ["one two"]),
            ("<span style='display:block'>a</span><span style='display: block'>b</span>", ["a", "b"]),
            ("plain words, no tag", ["plain words, no tag"]),
            ("<p>a</p></body></html>after <p>the end", ["a", "after", "the end"]),
            ("<script>s = '</body>'</script><p>kept", ["kept"]),
            ("<p>&lt;b&gt; &amp;amp; &hellip; &notin; &copy", ["<b> &amp; \u2026 \u2209 \u00a9"]),
            ("<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>", ["漢kan"]),
            ("<p>x<sup>2</sup> and H<sub>2</sub>O", ["x2 and H2O"]),
            ("<h2><button>What is it?</button></h2>", ["What is it?"]),
            ("<h1><img alt='The title'></h1><p>x", ["The title", "x"]),
            ("<dl><dt>Kick<dd>To stop.</dl>", ["Kick", "To stop."]),
            ("<p>math <math><mi>x</mi><mo>=</mo><mn>2</mn></math>", ["math x=2"]),
        ],
    )
    def test_text_is_as_a_browser_shows_it(self, html: str, expected: list[str]) -> None:
        """This ensures that white space, line breaks and what is no text come out as in a browser."""
        assert texts(html) == expected

    def test_headings_make_paths_and_sections(self) -> None:
        """This ensures that heading paths follow levels, and that an aside's heading ends with the aside."""
        extraction = read(
            "<main><h1>A</h1><h3>B</h3><p>b<aside><h2>Def</h2>d</aside><p>after<h2>C</h2><p>c" + PROSE + "</main>"
        )
        paths = {extraction.text[b.start : b.end]: b.heading_path for b in extraction.blocks}
        sections = {extraction.text[b.start : b.end]: b.section for b in extraction.blocks}

        assert paths["b"] == ("A", "B")
        assert paths["d"] == ("A", "Def")
        assert paths["after"] == ("A", "B")
        assert paths["c"] == ("A", "C")
        assert len({sections["b"], sections["d"], sections["after"], sections["c"]}) == 4

    def test_heading_levels(self) -> None:
        """This ensures that levels come from the tag or from role and aria-level."""
        extraction = read("<h3>a</h3><div role=heading aria-level=5>b</div><div role=heading>c</div>")

        assert [b.level for b in extraction.blocks] == [3, 5, 2]

    def test_element_ids(self) -> None:
        """This ensures that a block has its own id, one that begins right before it, or its heading's."""
        extraction = read(
            "<h2>x<a id=late></a></h2><p>under x<h2 id=two>y</h2><p id=own>own<p>next</p><a name=anchor></a><p>anchored"
            "<p id='not valid'>plain"
        )

        assert [b.element_id for b in extraction.blocks] == ["late", "late", "two", "own", "two", "anchor", "two"]

    def test_tables(self) -> None:
        """This ensures that rows carry their header as context, spans included, and that the header is not content."""
        extraction = read(
            "<table><thead><tr><th>Day</th><th>Sign</th><th></th></tr></thead><tr><td rowspan=2>1<td><p>aches</p><p>"
            "sweat</p><td>x<tr><td>chills<td><button>buy</button><tr><td>2<td><td>y</table>"
        )

        assert [(extraction.text[b.start : b.end], b.context, b.furniture) for b in extraction.blocks] == [
            ("Day | Sign", "", "table_header"),
            ("1 | aches\nsweat | x", "Day | Sign", ""),
            ("chills", "Day | Sign; 1", ""),
            ("2 | | y", "Day | Sign", ""),
        ]
        assert {b.kind for b in extraction.blocks} == {BlockKind.TABLE_ROW}

    @pytest.mark.parametrize(
        ("html", "n_headers"),
        [
            ("<tr><th>a<th>b<tr><th>c<td>d", 1),
            ("<tr><td><b>a</b><td><b>b</b><tr><td>c<td>d", 1),
            ("<tr><th>a<th>b<tr><th>c<th>d", 0),
            ("<thead><tr><td>a<td>b</thead>", 0),
            ("<tr><td><b>a</b><td><b>b</b><tr><td><b>c</b><td><b>d</b>", 1),
            ("<tr><td>a<td>b<tr><td>c<td>d", 0),
        ],
    )
    def test_table_headers_never_take_all_rows(self, html: str, n_headers: int) -> None:
        """This ensures that a header is found by tags or bold type, and that a table never is all header."""
        extraction = read(f"<table>{html}</table>")

        assert sum(b.furniture == "table_header" for b in extraction.blocks) == n_headers
        assert any(not b.furniture for b in extraction.blocks)

    def test_layout_tables_are_read_as_blocks(self) -> None:
        """This ensures that a table that places a page's parts gives paragraphs and headings, not rows."""
        html = "<table><tr><td><h1>T</h1><p>one<p>two</td><td><table><tr><td>a<td>b<tr><td>c<td>d</table></table>"

        assert shown(read(html)) == [
            ("heading", "T"),
            ("paragraph", "one"),
            ("paragraph", "two"),
            ("table_row", "a | b"),
            ("table_row", "c | d"),
        ]

    @pytest.mark.parametrize(
        ("before", "context"),
        [
            ("<p>Stay calm. Signs of overdose include:</p>", "Signs of overdose include:"),
            ("<p>You should call if</p>", "You should call if"),
            ("<p>They are listed below.</p>", "They are listed below."),
            ("<p>It passes in days.</p>", ""),
            ("<h2>Signs:</h2>", ""),
            ("bare text:", "bare text:"),
            ("<p>Signs:</p><p>Unrelated.</p>", ""),
        ],
    )
    def test_lead_in_of_a_list(self, before: str, context: str) -> None:
        """This ensures that list items carry the sentence that leads in to them, and no other."""
        extraction = read(f"{before}<ul><li>blue lips<li>slow breath</ul>")

        assert [b.context for b in extraction.blocks if b.kind is BlockKind.LIST_ITEM] == [context, context]

    def test_contexts_of_nested_lists_terms_and_details(self) -> None:
        """This ensures that nested items, definitions and opened details know what they hang on."""
        extraction = read(
            "<p>Signs:<ul><li>of the body<ul><li>sweat</ul></ul><dl><dt>Kick<dd>To stop.</dl>"
            "<details><summary>Is it safe?</summary><p>Mostly.</details><p>End."
        )
        contexts = {extraction.text[b.start : b.end]: b.context for b in extraction.blocks}

        assert contexts["sweat"] == "Signs: of the body"
        assert contexts["To stop."] == "Kick"
        assert contexts["Mostly."] == "Is it safe?"
        assert contexts["End."] == ""


class TestRepairs:
    """What is changed is recorded."""

    def test_repairs_are_recorded_and_undone(self) -> None:
        """This ensures that soft hyphens, ligatures, invisible and struck-out parts are repairs that can be undone."""
        extraction = read("<p>\u200bWith\u00addrawal is de\ufb01ned <del>old</del> <span hidden>no</span> here\ufeff")

        assert extraction.text == "Withdrawal is defined here"
        assert {r.rule for r in extraction.repairs} >= {"zero_width", "soft_hyphen", "ligature", "struck_out"}
        assert undo_repairs(extraction.text, extraction.repairs) == (
            "\u200bWith\u00addrawal is de\ufb01ned old no here\ufeff"
        )

    def test_joiners_of_scripts_and_emoji_stay(self) -> None:
        """This ensures that zero-width joiners survive where they mean something and go where they are junk."""
        assert texts("<p>\U0001f468\u200d\U0001f469 می\u200cخواهم a\u200cb") == [
            "\U0001f468\u200d\U0001f469 می\u200cخواهم ab"
        ]

    @pytest.mark.parametrize("reference", ["&#0;", "&#xD800;", "&#x110000;", "&#xDFFF;"])
    def test_impossible_references_become_replacement_characters(self, reference: str) -> None:
        """This ensures that NUL, lone surrogates and what is beyond Unicode never get into a text."""
        extraction = read(f"<p id='a{reference}'>x{reference}y")

        assert extraction.text == "x\ufffdy"
        extraction.text.encode("utf-8")

    def test_control_characters_are_taken_out(self) -> None:
        """This ensures that control characters and noncharacters from references are recorded and gone."""
        extraction = read("<p>a&#1;b&#27;c&#xFFFE;d&#x85;e")

        assert extraction.text == "abcd\u2026e"
        assert {r.rule for r in extraction.repairs} == {"control_character"}

    def test_struck_out_block_stays_as_furniture(self) -> None:
        """This ensures that a paragraph that is struck out as a whole is kept, but is not content."""
        assert rules("<p>New.</p><del><p>Old.</p></del>") == {"New.": "", "Old.": "struck_out"}


class TestBadInput:
    """Clear errors, nothing lost."""

    @pytest.mark.parametrize(
        "data", [b"", b"   ", b"<html></html>", b"<!-- x -->", b"<script>x</script>", b"<title>t</title>"]
    )
    def test_no_text(self, data: bytes) -> None:
        """This ensures that a page without text is reported, never an empty document."""
        with pytest.raises(NoTextLayer):
            read_web_page(data, LIMITS, "x.html")

    @pytest.mark.parametrize(
        "data", [b"%PDF-1.5 x", b"PK\x03\x04xxxx", b"\x89PNG\r\n\x1a\n", b"<p>" + bytes(range(1, 32)) * 9]
    )
    def test_binary(self, data: bytes) -> None:
        """This ensures that a binary file under the ending .html is malformed."""
        with pytest.raises(MalformedSource):
            read_web_page(data, LIMITS, "x.html")

    @pytest.mark.parametrize("n", [200, 254, 255, 256, 300, 990])
    def test_deep_nesting_loses_nothing(self, n: int) -> None:
        """This ensures that text below and after deeply nested elements is kept, up to the cap."""
        html = "<html><body>" + "<div>" * n + "deep" + "</div>" * n + "<p>after</p></body></html>"

        assert texts(html) == ["deep", "after"]

    @pytest.mark.parametrize("n", [1_000, 2_040, 2_100, 200_000])
    def test_deeper_nesting_is_refused(self, n: int) -> None:
        """This ensures that nesting over the cap, also where the parser gives up by itself, is an error."""
        with pytest.raises(SourceTooLarge, match="1000"):
            read("<div>" * n + "deep")

    def test_at_the_cap_exactly(self) -> None:
        """This ensures that `max_depth` elements pass and one more does not."""
        html = "<html><body>" + "<div>" * 98 + "deep"

        assert read(html, replace(LIMITS, max_depth=100)).text == "deep"
        with pytest.raises(SourceTooLarge):
            read(html, replace(LIMITS, max_depth=99))

    def test_caps_on_bytes_text_and_time(self) -> None:
        """This ensures that each cap is an error with both numbers."""
        html = "<p>" + "word " * 100

        with pytest.raises(SourceTooLarge, match="cap is 10"):
            read(html, replace(LIMITS, max_bytes=10))
        with pytest.raises(SourceTooLarge, match="cap is 50"):
            read(html, replace(LIMITS, max_text_chars=50))
        with pytest.raises(SourceTooLarge, match="seconds"):
            read(html, replace(LIMITS, max_seconds=-1))

    def test_entities_of_a_document_type_do_nothing(self) -> None:
        """This ensures that an entity that a page declares is not expanded and nothing is fetched."""
        extraction = read('<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><p>a &x; b')

        assert "root:" not in extraction.text
        assert "a &x; b" in extraction.text

    def test_large_single_line(self) -> None:
        """This ensures that a text node beyond libxml2's usual ten million characters is kept whole."""
        extraction = read("<p>" + "word " * 2_200_000)

        assert len(extraction.text) == 2_200_000 * 5 - 1

    @pytest.mark.parametrize(
        ("head", "charset"),
        [
            (b'<meta charset="windows-1251">', "windows-1251"),
            (b'<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-2">', "iso-8859-2"),
            (b'<?xml version="1.0" encoding="koi8-r"?>', "koi8-r"),
            (b"<!-- <meta charset=x> --><meta charset=utf-16>", "utf-8"),
            (b"<p>charset=latin1", ""),
        ],
    )
    def test_declared_charset(self, head: bytes, charset: str) -> None:
        """This ensures that the charset is found where pages declare it."""
        assert declared_charset(head) == charset

    def test_declared_charset_is_used(self) -> None:
        """This ensures that a page in a declared charset is read in it."""
        data = '<meta charset="windows-1251"><p>Помощь при передозировке'.encode("cp1251")

        assert read_web_page(data, LIMITS, "x.html").text == "Помощь при передозировке"

    def test_xhtml_is_read_as_xml(self) -> None:
        """This ensures that XHTML's empty elements don't swallow what follows, named characters known."""
        html = (
            '<?xml version="1.0"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>'
            '<p id="p"><a id="x"/>one&nbsp;two</p><textarea/><p>three</p></body></html>'
        )

        assert texts(html) == ["one\u00a0two", "three"]

    def test_all_furniture_is_warned_about(self) -> None:
        """This ensures that a page of nothing but navigation, or mostly hidden, says so in the report."""
        assert "all text" in read("<nav><a href=x>a</a></nav>").warnings[0]
        assert "hidden" in read("<p>shown</p><div hidden><p>much longer than shown</p></div>").warnings[0]
