"""The HTML reader: reading order, kinds, white space, repairs, furniture, metadata, bad input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest

from ingest.assemble import undo_repairs
from ingest.errors import MalformedSource, NoTextLayer, SourceTooLarge
from ingest.furniture import mark_furniture
from ingest.limits import Limits
from ingest.model import BlockKind, Extraction
from ingest.readers.web_page import declared_charset, read_web_page

LIMITS = Limits()


def read(html: str, limits: Limits = LIMITS) -> Extraction:
    return read_web_page(html.encode("utf-8"), limits, "page.html")


def shown(extraction: Extraction) -> list[tuple[str, str]]:
    """Return (kind, text) of the content blocks."""
    return [(b.kind.value, extraction.text[b.start : b.end]) for b in extraction.blocks if not b.furniture]


def texts(html: str) -> list[str]:
    return [text for _, text in shown(read(html))]


def rules(html: str) -> dict[str, str]:
    """Return the furniture rule of every block by its text."""
    extraction = read(html)
    return {extraction.text[b.start : b.end]: b.furniture for b in extraction.blocks}


PROSE = "<p>" + "Withdrawal begins some hours after the last dose and passes within days. " * 12 + "</p>"


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


PAGE = """<body class="no-sidebar has-cookie-banner">
<a class="visually-hidden" href="#main">Skip to main content</a>
<header><a href="/">The Clinic</a><nav><ul><li><a href="/a">Home</a></ul></nav></header>
<div id="cookie-notice">We use cookies. <button>Accept</button></div>
<ol class="c-breadcrumb__list"><li><a href="/">Start</a><li>Here</ol>
<main><article><header><h1>Withdrawal</h1><p>By a nurse</p></header>{prose}
<aside class="definition"><p>Opioid: a drug that binds to receptors.</p></aside>
<aside><a href="/x">Read about methadone in our guide</a></aside>
<div class="related-articles"><h3>Related</h3><a href="/1">Your first day</a> <a href="/2">Detox</a></div>
<div class="social-share"><a href="t">Tweet</a><a href="f">Post</a></div>
<p>Get help from:</p><ul><li><a href="/na">Narcotics Anonymous of the county</a><li><a href="/smart">SMART Recovery near
you</a><li><a href="/x">The Samaritans by phone</a></ul>
<p>See also the charts. <img src="c.png" alt="A chart of days"></p>
<form class="newsletter-signup"><label>Your mail</label><input><button>Join</button></form>
<section id="sharing-needles"><h2>Sharing</h2><p>Never share needles.</p></section>
<section id="informed-consent"><p>You must consent to treatment.</p></section>
<footer>Tags: <a href="/t1">heroin</a>, <a href="/t2">detox</a></footer></article>
<div id="comments" class="comments-area"><div class="comment-body">Great, call me!</div>
<form id="commentform"><textarea></textarea><button>Reply</button></form></div>
<p hidden>Secret</p><p style="display: none">Unseen</p><p aria-hidden="true">Silent</p></main>
<aside>Popular</aside><div>Call our sales people now</div><footer>© The Clinic</footer>
<noscript>Switch on scripts</noscript></body>""".replace("{prose}", PROSE)


class TestFurniture:
    """Structural rules, on pages they were not written from."""

    @pytest.mark.parametrize(
        ("text", "rule"),
        [
            ("Skip to main content", "skip_link"),
            ("The Clinic", "site_header"),
            ("Home", "site_header"),
            ("We use cookies.", "cookie_notice"),
            ("Accept", "cookie_notice"),
            ("Start", "breadcrumb"),
            ("Here", "breadcrumb"),
            ("Read about methadone in our guide", "aside"),
            ("Your first day Detox", "related_links"),
            ("TweetPost", "share_links"),
            ("A chart of days", "image_alt"),
            ("Your mail", "form"),
            ("Tags: heroin, detox", "site_footer"),
            ("Great, call me!", "comments"),
            ("Reply", "comments"),
            ("Secret", "hidden"),
            ("Unseen", "hidden"),
            ("Silent", "hidden"),
            ("Popular", "aside"),
            ("Call our sales people now", "outside_main"),
            ("© The Clinic", "site_footer"),
            ("Switch on scripts", "noscript"),
        ],
    )
    def test_furniture_is_marked(self, text: str, rule: str) -> None:
        """This ensures that each kind of furniture is marked by its rule and stays in the text."""
        found = rules(PAGE)

        assert rule == found[text]

    @pytest.mark.parametrize(
        "text",
        [
            "Withdrawal",
            "By a nurse",
            "Opioid: a drug that binds to receptors.",
            "Narcotics Anonymous of the county",
            "See also the charts.",
            "Never share needles.",
            "You must consent to treatment.",
        ],
    )
    def test_content_is_not_marked(self, text: str) -> None:
        """This ensures that an article's header, definition box, led-in links and telling ids stay content."""
        assert rules(PAGE)[text] == ""

    @pytest.mark.parametrize(
        ("html", "rule"),
        [
            ("<p class=crumb><a href=/>Home</a> / <a href=/d>Drugs</a> / Heroin</p>", "breadcrumb"),
            ("<div class=toc><p>Contents</p><ol><li><a href='#a'>Aches</a><li><a href='#b'>Sleep</a></ol></div>",
             "contents_list"),
            ("<div class=promo>Buy our calendar of kittens</div>", "advertisement"),
            ("<div class=feedback>Was it useful? <button>Yes</button></div>", "feedback"),
            ("<section id=comments><h2>Comments</h2><form><textarea></textarea></form></section>", "comments"),
            ("<p><a href='#'>Back to top</a></p>", "page_tools"),
            ("<div role=region aria-label='Cookie consent'>Crumbs are kept. <button>Fine</button></div>",
             "cookie_notice"),
            ("<table role=none><tr><td class=side><a href=/r>Rooms near me</a> today</td><td><p>x</table>", "sidebar"),
            ("<div class=newsletter><p>Hear from us</p><input><button>Go</button></div>", "sign_up"),
            ("<div class=sharedaddy><a href=f>Facebook</a></div>", "share_links"),
        ],
    )  # fmt: skip
    def test_named_blocks_with_evidence(self, html: str, rule: str) -> None:
        """This ensures that a telling class or label marks a block where its links or controls agree."""
        assert rule in rules(f"<h1>Heroin</h1>{html}{PROSE}").values()

    @pytest.mark.parametrize(
        "html",
        [
            "<div class=promo>In an overdose call 911 at once.</div>",
            "<section id=sponsor><p>A sponsor is a member who guides a newcomer.</p></section>",
            "<section id=comments><p>We weighed the remarks of patients.</p></section>",
            "<div class=menu><p>A day of meals for a queasy stomach.</p></div>",
            "<section id=contents><p>What a kit holds.</p></section>",
            "<h2><a href='#'>What is methadone?</a></h2>",
            "<p><a href='#'>How soon does withdrawal begin?</a></p>",
            "<div id=cookies><p>Some sites store things.</p></div>",
            "<div class=side-effects><p>Constipation is common.</p></div>",
            "<div class='header-shadow'><p>Shadow of a doubt.</p></div>",
        ],
    )
    def test_names_without_evidence_mark_nothing(self, html: str) -> None:
        """This ensures that a class or id alone takes no content, least of all what names an emergency."""
        assert not any(rules(f"<h1>Heroin</h1>{html}{PROSE}").values())

    def test_image_alternative_is_a_caption(self) -> None:
        """This ensures that an image's alternative text stands behind its paragraph, which it does not break."""
        extraction = read("<p>before <img alt='A chart'> after")

        assert [(b.kind.value, b.furniture) for b in extraction.blocks] == [("paragraph", ""), ("caption", "image_alt")]
        assert extraction.text == "before after\n\nA chart"

    @pytest.mark.parametrize(
        "html",
        [
            "<nav><h1>Title</h1>{prose}</nav>",
            "<form><div id=header>x</div><h1>T</h1>{prose}<input></form>",
            "<div class=sidebar><main>{prose}</main></div>",
            "<div hidden><main>{prose}</main></div>",
            "<body style='display:none'>{prose}</body>",
            "<header><h1>The only title</h1>{prose}</header>",
            "<article><div class='entry-header'><h2>x</h2></div>{prose}</article>",
            "<div class='section-header'><h2>Signs</h2>{prose}</div>",
            "<div class='menu'>{prose}</div>",
            "<aside>{prose}</aside>",
            "<main><section class=comments>{prose}</section></main>",
        ],
    )
    def test_the_pages_main_text_is_never_furniture(self, html: str) -> None:
        """This ensures that no rule takes the part that holds the page's title or most of its text."""
        assert any(text.startswith("Withdrawal begins") for text in texts(html.replace("{prose}", PROSE)))

    def test_page_without_semantic_tags(self) -> None:
        """This ensures that link lists around the content are found on old pages by density and position alone."""
        html = (
            "<div id=header><b>My site</b></div><ul><li><a href=/>Home</a><li><a href=/b>Books</a><li><a href=/c>Us</a>"
            f"</ul><h1>Heroin</h1>{PROSE}<ul><li><a href='#a'>A</a><li><a href='#b'>B</a><li><a href='#c'>C</a>"
            "</ul><p><a href=/1>How to stay safe at home</a> <a href=/2>What to do on day one</a> <a href=/3>Who can "
            "help you with it</a></p><div id=footer>Copyright</div>"
        )
        found = rules(html)

        assert found["My site"] == "site_header"
        assert found["Home"] == "link_list"
        assert found["Heroin"] == ""
        assert found["A"] == "contents_list"
        assert found["Copyright"] == "site_footer"
        assert "related_links" in found.values()

    def test_inline_signs_are_cut_and_hidden_words_too(self) -> None:
        """This ensures that a heading's anchor sign and words for screen readers alone leave the line in peace."""
        html = (
            "<h2>Signs <a href='#s' aria-hidden=true>¶</a></h2><p>Call <span class='sr-only'>(opens a window)</span>"
            "<b aria-hidden=true>911</b> now"
        )

        assert texts(html) == ["Signs", "Call 911 now"]

    def test_until_found_is_content(self) -> None:
        """This ensures that text that a browser's search opens is content."""
        assert texts("<p hidden=until-found>x") == ["x"]


class TestMetadata:
    """What a page says about itself."""

    def test_all_fields(self) -> None:
        """This ensures that each field is found, with its type."""
        html = """<html lang="en_us"><head><title>Heroin – The Clinic</title>
        <meta property="og:site_name" content="The Clinic"><meta name="author" content="J. Doe">
        <meta property="article:published_time" content="2019-03-04T10:00:00Z">
        <meta itemprop="lastReviewed" content="2021-01-02"><link rel="canonical" href="https://clinic.example/h">
        <link rel="license" href="https://creativecommons.org/licenses/by-sa/4.0/deed.en"></head>
        <h1>Heroin<a aria-hidden="true">#</a></h1><p>x"""

        assert read(html).metadata == {
            "title": "Heroin",
            "publisher": "The Clinic",
            "authors": ("J. Doe",),
            "published": date(2019, 3, 4),
            "reviewed": date(2021, 1, 2),
            "url": "https://clinic.example/h",
            "license": "CC BY-SA 4.0",
            "language": "en-US",
        }

    def test_json_ld(self) -> None:
        """This ensures that JSON-LD is read, references included, and that a modification is no review."""
        html = """<title>T</title><script type="application/ld+json">{"@graph": [
        {"@type": "Organization", "@id": "#o", "name": "Health Board"},
        {"@type": "MedicalWebPage", "publisher": {"@id": "#o"}, "lastReviewed": "2020-05-06", "inLanguage": "es"},
        {"@type": ["NewsArticle"], "datePublished": "2018-02-03", "dateModified": "2022-02-03",
         "author": [{"name": "A"}, {"name": "B"}]}]}</script><p>x"""

        assert read(html).metadata == {
            "title": "T",
            "publisher": "Health Board",
            "authors": ("A", "B"),
            "published": date(2018, 2, 3),
            "reviewed": date(2020, 5, 6),
            "language": "es",
        }

    @pytest.mark.parametrize(
        "head",
        [
            "<meta property='article:published_time' content='last spring'>",
            "<meta property='article:published_time' content='2019-02-31'>",
            "<meta property='article:published_time' content='2019'>",
            "<link rel=canonical href='javascript:alert(1)'>",
            "<link rel=canonical href='/relative'>",
            "<meta name=author content='https://facebook.example/x'>",
            "<html lang='not a language'>",
            "<script type='application/ld+json'>{broken</script>",
            "<script type='application/ld+json'>" + "[" * 100_000 + "</script>",
            "<script type='application/ld+json'>[{'@type': 7}]</script>",
            '<script type="application/ld+json">{"@type":"Article","author":{"@id":{}},"publisher":[[]]}</script>',
        ],
    )
    def test_invalid_values_are_left_out(self, head: str) -> None:
        """This ensures that no value is taken that does not validate."""
        assert read(f"{head}<p>x").metadata == {}

    @pytest.mark.parametrize(
        ("html", "title"),
        [
            ("<title>Heroin | Site</title><h1>Heroin</h1>", "Heroin"),
            ("<title>Something else</title><h1>Heroin</h1>", "Something else"),
            ("<h1>Heroin</h1>", "Heroin"),
            ("<title>Page - Board</title><meta property=og:site_name content=Board><p>x", "Page"),
            ("<title>  </title><p>x", None),
            ("<svg><title>icon</title></svg><p>x", None),
        ],
    )
    def test_title(self, html: str, title: str | None) -> None:
        """This ensures that the site's name is not taken for a part of the title."""
        assert read(html).metadata.get("title") == title


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


PAGES = Path(__file__).parents[1] / "data" / "furniture"
AROUND = (
    PROSE
    + "<p>"
    + "People who stop in a clinic are watched day and night, and most sleep again in a week. " * 4
    + "</p>"
)


@dataclass(frozen=True)
class Snippet:
    """A stretch of a written page, and whether it is furniture there."""

    page: str
    html: str
    text: str
    is_furniture: bool


def _snippets(name: str) -> Iterator[Snippet]:
    for written in (PAGES / name).read_text(encoding="utf-8").split("=== ")[1:]:
        title, _, rest = written.partition("\n")
        html, *labelled = rest.split("\n--- ")
        for group in labelled:
            label, *lines = group.splitlines()
            for line in filter(None, lines):
                yield Snippet(title, html.replace("{P}", AROUND), line, label == "furniture")


def _is_marked(snippet: Snippet) -> bool:
    extraction = read(snippet.html)
    blocks = mark_furniture(extraction.text, extraction.blocks)
    holding = [b for b in blocks if snippet.text in " ".join(extraction.text[b.start : b.end].split())]
    cut = any(snippet.text in " ".join(repair.original.split()) for repair in extraction.repairs)
    assert holding or cut, f"{snippet.page}: {snippet.text!r} is lost"
    return all(block.furniture for block in holding)


class TestPagesOfManyKinds:
    """Furniture and its look-alikes on pages of many kinds of site; the held-out ones are not to be tuned on."""

    @pytest.mark.parametrize("snippet", list(_snippets("pages-dev.txt")), ids=lambda s: f"{s.page}-{s.text}")
    def test_written_pages(self, snippet: Snippet) -> None:
        """This ensures that rows of links, entry data, captions and announced lists go, and that content stays."""
        assert _is_marked(snippet) == snippet.is_furniture

    @pytest.mark.parametrize(
        "snippet",
        [s for s in _snippets("pages-held-out.txt") if not s.is_furniture],
        ids=lambda s: f"{s.page}-{s.text}",
    )
    def test_unseen_content_stays(self, snippet: Snippet) -> None:
        """This ensures that no content of a page that no rule was written from is taken for furniture."""
        assert not _is_marked(snippet)

    def test_recall_on_unseen_pages(self) -> None:
        """This ensures that the rules hold on pages they were not written from (measured: 54 of 58; before them 15)."""
        unseen = [s for s in _snippets("pages-held-out.txt") if s.is_furniture]

        found = sum(map(_is_marked, unseen))

        assert len(unseen) >= 50
        assert found >= 0.9 * len(unseen)

    @pytest.mark.parametrize(
        ("html", "expected"),
        [
            ("<p><a href=/a>opium</a> → <a href=/b>morphine</a> → <a href=/c>heroin</a></p>", [""]),
            ("<p><a href=/a>Narcotics Anonymous</a><br><a href=/b>SMART Recovery</a></p>", [""]),
            ("<p>You can turn to:</p><p><a href=/a>Harbor House</a> | <a href=/b>Dock Street</a></p>", ["", ""]),
            ("<p><a href=/a>Home</a> | <a href=/b>Call 911</a></p>", [""]),
            ("<p><a href=/a>Home</a> | <a href=/b>Our aims</a></p>", ["link_row"]),
            ("<h2>Read next</h2><h2><a href=#dose>Dose</a></h2>", ["related_links", ""]),
            ("<table><tr><td><a href=/a>A</a><td><a href=/b>B</a><tr><td>1<td>2</table>", ["", ""]),
        ],
    )
    def test_limits_of_rules_on_links(self, html: str, expected: list[str]) -> None:
        """This ensures that relations, lists of places, help and tables with links are no rows of links."""
        extraction = read(f"<main><h1>T</h1>{PROSE}{html}</main>")

        assert [block.furniture for block in extraction.blocks[2:]] == expected
