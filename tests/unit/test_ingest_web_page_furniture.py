"""The HTML reader: what is page furniture, and what only looks like it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from web_page_support import PROSE, read, rules, texts

from ingest.furniture import mark_furniture

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
