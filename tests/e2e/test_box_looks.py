"""How the search box looks, and how it stands on pages that are hostile, narrow, huge, right-to-left or re-rendered."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_support import (
    QUESTION,
    Reply,
    Site,
    ask,
    opened,
    page_with,
    passage,
    plays_api,
    reply,
)
from playwright.sync_api import Browser, Page, expect

# Whatever a theme, a reset or a page builder has ever done to elements that are not its own.
HOSTILE = """
* { all: unset !important }
* { font: italic 900 60px/3 fantasy !important; letter-spacing: 1em !important; text-transform: uppercase !important;
    color: yellow !important; direction: ltr; cursor: none !important; user-select: none !important;
    text-align: right !important; word-spacing: 2em; white-space: nowrap !important; quotes: none; text-indent: 3em;
    -webkit-text-fill-color: pink !important; text-shadow: 0 0 9px red !important; hyphens: auto; tab-size: 40;
    accent-color: red; caret-color: red; list-style: square !important; border-spacing: 9px; line-break: anywhere }
div, p, button, label, ol, ul, li, blockquote, mark, dl { display: none !important }
h1, h2, h3, h4, section, form, textarea { position: absolute !important; top: -999px !important }
html { font-size: 40px !important }
main, body, html { display: block !important; margin: 0 !important }
head { display: none !important }  /* or its words stand on the page, and the box between pixels */
"""
PLAIN = "main, body, html { display: block; margin: 0 }"
NOTICE = {
    "title": "Call for help now.",
    "text": "Stay with them.\nDo what they say.",
    "links": [{"label": "Call 112", "href": "tel:112"}],
}
FULL = reply(
    passages=[
        passage(1, publisher="A clinic", published="2019-05-17", flags=["old"], content_note="Mentions injecting."),
        {**passage(2), "also_in": [{"document_id": "b", "title": "Another", "passage_id": "q"}], "pages": [3, 4]},
    ],
    matched=["Vivitrol: extended-release naltrexone"],
    notices=[NOTICE],
)


def show(browser: Browser, host: Site, site: Site, answer: dict[str, Any], **options: Any) -> Any:
    """Open a page on which the box has this answer; `html` changes the page, the rest are the browser's options."""
    plays_api(site, answer)
    attributes, head, inside = (options.pop(name, "") for name in ("attributes", "head", "inside"))
    host.pages["/"] = Reply(page_with(site.origin, attributes, inside, head))
    return opened(browser, **options)


def asked(page: Page, host: Site) -> Any:
    page.goto(host.origin)
    ask(page, QUESTION)
    expect(box(page).locator("[part=passage]").first).to_be_visible()
    return box(page)


def box(page: Page) -> Any:
    return page.locator("citewell-search")


def test_hostile_page_changes_no_pixel(browser: Browser, host: Site, stranger: Site) -> None:
    """This ensures that the box looks the same, pixel by pixel, on a page whose style sheet attacks everything."""
    pictures = []
    for style in (PLAIN, HOSTILE):
        with show(
            browser, host, stranger, FULL, head=f"<style>{style} h1 {{ display: none !important }}</style>"
        ) as page:
            found = asked(page, host)
            page.evaluate("document.activeElement.blur(); document.activeElement.shadowRoot?.activeElement?.blur()")
            pictures.append(found.screenshot(animations="disabled", caret="hide"))

    assert pictures[0] == pictures[1]


def test_hostile_answer_is_only_text(browser: Browser, host: Site, stranger: Site) -> None:
    """This ensures that markup, scripts, bad links, direction overrides and endless words in an answer stay words."""
    evil = '<script>window.hit=1</script><img src=x onerror="window.hit=1">\u202egnp.exe\u2066'
    word = "w" * 20_480
    bad = {
        **passage(
            1,
            f"{evil} {word}",
            publisher=evil,
            content_note=evil,
            funding=evil,
            language='en" onclick="x',
            flags=[evil],
        ),
        "heading_path": [evil],
        "citation": {"text": evil, "link": "javascript:window.hit=1", "permalink": "javascript:window.hit=1"},
        "also_in": [{"document_id": evil, "title": evil, "passage_id": "../../x"}],
    }
    links = [
        {"label": evil, "href": href} for href in ("javascript:window.hit=1", "data:text/html,x", " jAvA\nscript:x")
    ]
    answer = reply(passages=[bad], matched=[evil], notices=[{"title": evil, "text": evil, "links": links}])
    with show(browser, host, stranger, answer, viewport={"width": 320, "height": 700}) as page:
        found = asked(page, host)

        assert page.evaluate("window.hit") is None
        shadow = found.evaluate_handle("b => b.shadowRoot")
        assert shadow.evaluate("r => r.querySelectorAll('script, img, iframe, style, [onclick]').length") == 0
        protocols = shadow.evaluate("r => [...r.querySelectorAll('a')].map(a => a.protocol)")
        assert set(protocols) == {"http:"}
        assert found.locator("[part=notice] a").count() == 0
        quote = found.locator("blockquote")
        assert quote.evaluate("q => q.textContent") == f"{evil} {word}"
        assert quote.evaluate("q => getComputedStyle(q).unicodeBidi") == "isolate"
        assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_answer_of_an_old_server_and_of_a_huge_one(browser: Browser, host: Site, stranger: Site) -> None:
    """This ensures that missing fields leave gaps and no errors, and that 20 passages of 4,000 characters show."""
    long = "One two three four. It is so. " * 134
    with show(browser, host, stranger, reply(passages=[passage(n, long[:4_000]) for n in range(20)])) as page:
        found = asked(page, host)
        assert found.locator("blockquote").evaluate_all("q => q.map(e => e.textContent.length)") == [4_000] * 20

        for old in ({"answered": True, "passages": [{"text": "Bare."}, {}, None, 7]}, {"answered": False}):
            plays_api(stranger, old)
            ask(page, f"{QUESTION} {len(old)}")
            heading = "3 passages" if old["answered"] else "Nothing in this library answers that"
            expect(found.get_by_role("heading", name=heading)).to_be_visible()

        assert "undefined" not in found.evaluate("b => b.shadowRoot.querySelector('[part=box]').textContent")


def test_two_boxes_keep_to_themselves(browser: Browser, host: Site, stranger: Site) -> None:
    """This ensures that two boxes on a page answer each for itself, and that axe finds nothing."""
    second = f'<citewell-search endpoint="{stranger.origin}" label="Ask about housing"></citewell-search>'
    plays_api(stranger, reply())
    host.pages["/"] = Reply(page_with(stranger.origin).replace("</main>", f"{second}</main>"))
    with opened(browser) as page:
        page.goto(host.origin)
        ask(page, QUESTION, nth=1)

        expect(box(page).nth(1).get_by_role("listitem")).to_have_count(1)
        expect(box(page).nth(0).get_by_role("listitem")).to_have_count(0)
        assert box(page).nth(0).locator("textarea").input_value() == ""
        assert Axe().run(page).response["violations"] == []


def listeners(page: Page) -> dict[str, int]:
    """Count the listeners on window and document by type, as the browser's own debugger sees them."""
    session = page.context.new_cdp_session(page)
    counts: dict[str, int] = {}
    for name in ("window", "document"):
        found = session.send("Runtime.evaluate", {"expression": name})["result"]["objectId"]
        for one in session.send("DOMDebugger.getEventListeners", {"objectId": found})["listeners"]:
            counts[one["type"]] = counts.get(one["type"], 0) + 1
    return counts


def test_removed_and_moved_boxes_leave_nothing_behind(browser: Browser, host: Site, stranger: Site) -> None:
    """This ensures that moving keeps answer and running request, and removing frees listeners, timers and memory."""
    with show(browser, host, stranger, reply(), attributes="quick-exit") as page:
        page.goto(host.origin)
        # Not typed: the browser itself keeps a field that was typed into, for its undo.
        page.evaluate("q => document.querySelector('citewell-search').ask(q)", QUESTION)
        before = listeners(page)
        page.evaluate(
            "() => { const b = document.querySelector('citewell-search');"
            " for (let i = 0; i < 50; i++) { b.remove(); document.querySelector('main').append(b) } }"
        )
        expect(box(page).get_by_role("listitem")).to_have_count(1)
        assert listeners(page) == before == {"keydown": 1, "pagehide": 1}
        moved = page.evaluate(
            "async (q) => { const b = document.querySelector('citewell-search'); const done = b.ask(q);"
            " document.body.append(b); await done; return b.shadowRoot.querySelectorAll('[part=passage]').length }",
            "another",
        )
        assert moved == 1

        page.evaluate(
            "() => { const b = document.querySelector('citewell-search'); window.gone = new WeakRef(b);"
            " b.ask('running'); b.remove() }"
        )
        page.wait_for_timeout(100)

        assert listeners(page) == {}
        page.request_gc()
        assert page.evaluate("window.gone.deref() === undefined")


def test_framework_render_again_changes_nothing(browser: Browser, host: Site, stranger: Site) -> None:
    """This ensures that a framework that sets everything anew at every render disturbs neither answer nor focus."""
    with show(browser, host, stranger, reply(), attributes='top-k="3" lang="en"') as page:
        found = asked(page, host)
        page.evaluate(
            "window.first = document.querySelector('citewell-search').shadowRoot.querySelector('[part=passage]')"
        )
        n_seen = len(stranger.seen)

        page.evaluate(
            "() => { const b = document.querySelector('citewell-search'); for (let i = 0; i < 20; i++)"
            " for (const a of [...b.attributes]) b.setAttribute(a.name, a.value) }"
        )

        assert page.evaluate("window.first.isConnected")
        expect(found.locator("textarea")).to_be_focused()
        assert len(stranger.seen) == n_seen


def test_properties_set_before_the_script_count(browser: Browser, host: Site, stranger: Site) -> None:
    """This ensures that properties which a framework set before the element was defined are taken over."""
    early = (
        "const b = document.querySelector('citewell-search'); b.topK = 4; b.quickExit = true;"
        " b.filters = {tags: ['a']}; b.strings = {submit: 'Go'};"
    )
    plays_api(stranger, reply())
    html = page_with(stranger.origin).replace("</body>", f"<script>{early}</script></body>")
    host.pages["/"] = Reply(html)
    with opened(browser) as page:
        found = asked(page, host)

        expect(found.get_by_role("button", name="Go")).to_be_visible()
        expect(found.get_by_role("button", name="Leave this page now")).to_be_visible()
        assert stranger.seen[-1].body.decode().endswith('"top_k":4,"filters":{"tags":["a"]}}')


def test_form_is_replaced_and_what_was_typed_is_kept(browser: Browser, host: Site, stranger: Site) -> None:
    """This ensures that a visitor who typed before the script came loses nothing and sees one field."""
    plays_api(stranger, reply())
    host.pages["/early"] = Reply(page_with(stranger.origin, inside='<input name="question" value="typed early">'))
    with opened(browser) as page:
        page.goto(f"{host.origin}/early")

        expect(page.get_by_role("textbox")).to_have_count(1)
        expect(page.get_by_role("textbox")).to_have_value("typed early")


def test_back_forward_cache_keeps_the_answer(browser: Browser, host: Site, stranger: Site) -> None:
    """This ensures that a visitor who read a source and comes back finds the answer, and the box alive."""
    host.pages["/other"] = Reply("<title>other</title>")
    with show(browser, host, stranger, reply()) as page:
        found = asked(page, host)
        page.evaluate("window.kept = true")
        page.goto(f"{host.origin}/other")

        page.go_back(wait_until="commit")

        assert page.evaluate("window.kept") is True, "the page was not kept, so nothing was tested"
        expect(found.get_by_role("listitem")).to_have_count(1)
        page.evaluate("document.querySelector('citewell-search').ask('again')")
        expect(found.get_by_role("listitem")).to_have_count(1)
        assert listeners(page) == {"keydown": 1, "pagehide": 1}


@pytest.mark.parametrize(
    "width_height_scale", [(320, 640, 1), (320, 256, 4), (3840, 2160, 1)], ids=["320 px", "400 % zoom", "4K"]
)
def test_every_size_fits(
    browser: Browser,
    host: Site,
    stranger: Site,
    width_height_scale: tuple[int, int, int],
) -> None:
    """This ensures that from 320 px (also as 1280 px at 400 %) to 4K nothing is cut off or scrolls sideways."""
    width, height, scale = width_height_scale
    with show(
        browser,
        host,
        stranger,
        FULL,
        attributes="quick-exit",
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
    ) as page:
        found = asked(page, host)

        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        overflow = found.evaluate(
            "b => [...b.shadowRoot.querySelectorAll('*:not(.live)')].filter(e => e.scrollWidth > e.clientWidth + 1"
            " && getComputedStyle(e).display !== 'inline').map(e => e.outerHTML.slice(0, 80))"
        )
        assert overflow == []
        sizes = found.evaluate(
            "b => [...b.shadowRoot.querySelectorAll('button, a')].map(e => e.getBoundingClientRect())"
            ".map(r => Math.min(r.width, r.height))"
        )
        assert min(sizes) >= 24  # WCAG 2.2, 2.5.8
        measure = found.evaluate("b => b.shadowRoot.querySelector('[part=box]').clientWidth")
        assert measure <= 16 * 46


def test_right_to_left(browser: Browser, host: Site, stranger: Site) -> None:
    """This ensures that in a right-to-left page everything is mirrored and an English quotation stays left-to-right."""
    with show(browser, host, stranger, FULL, attributes='dir="rtl"') as page:
        found = asked(page, host)
        field, button = (found.locator(s).bounding_box() for s in ("textarea", "[part=submit]"))
        style = found.locator("[part=notice]").evaluate("n => getComputedStyle(n).borderRightWidth")
        quote = found.locator("blockquote").first.evaluate("q => getComputedStyle(q).direction")

        assert button["x"] < field["x"]
        assert float(style.removesuffix("px")) > 4
        assert quote == "ltr"


def test_forced_colours_motion_and_paper(browser: Browser, host: Site, stranger: Site) -> None:
    """This ensures that forced colours keep marks and frames, that nothing moves, and that paper is black on white."""
    with show(browser, host, stranger, FULL, forced_colors="active", color_scheme="dark") as page:
        found = asked(page, host)
        mark = found.locator("mark").first.evaluate("m => getComputedStyle(m).backgroundColor")
        around = found.locator("blockquote").first.evaluate("m => getComputedStyle(m).backgroundColor")
        assert mark != around
        assert found.locator("[part=passage]").first.evaluate("e => getComputedStyle(e).borderTopStyle") == "solid"
    with show(browser, host, stranger, FULL, color_scheme="dark") as page:
        found = asked(page, host)
        moving = found.evaluate("b => b.shadowRoot.getAnimations().length")
        page.emulate_media(media="print")
        ink = found.locator("[part=box]").evaluate(
            "b => [getComputedStyle(b).color, getComputedStyle(b).backgroundColor]"
        )

        assert moving == 0
        assert ink == ["rgb(28, 36, 39)", "rgb(253, 253, 251)"]
        # A number to call must be readable where no background is printed.
        expect(found.locator("[part=call]")).to_have_css("background-color", "rgba(0, 0, 0, 0)")
        expect(found.locator("[part=call]")).to_have_css("color", "rgb(122, 46, 14)")
        expect(found.locator("form")).to_be_hidden()
        expect(found.get_by_text("/c/p1")).to_be_visible()


def test_theme_variables_parts_and_slots(browser: Browser, host: Site, stranger: Site) -> None:
    """This ensures that a page can choose the theme, colours, parts and its own words around the box."""
    head = "<style>citewell-search { --citewell-accent: rgb(90, 0, 90) } ::part(quote) { font-style: italic }</style>"
    inside = '<p slot="heading">Ours</p><p slot="help">Call us</p><p slot="hint">Hint</p><p slot="footer">Foot</p>'
    attributes = 'theme="dark" heading-level="4" label="Ask us" placeholder="For example"'
    with show(browser, host, stranger, FULL, head=head, inside=inside, attributes=attributes) as page:
        found = asked(page, host)

        assert found.locator("[part=box]").evaluate("b => getComputedStyle(b).backgroundColor") == "rgb(20, 25, 27)"
        assert found.locator("[part=submit]").evaluate("b => getComputedStyle(b).backgroundColor") == "rgb(90, 0, 90)"
        assert found.locator("blockquote").first.evaluate("b => getComputedStyle(b).fontStyle") == "italic"
        expect(found.get_by_role("heading", level=5)).to_have_count(2)
        expect(found.get_by_role("textbox", name="Ask us")).to_have_attribute("placeholder", "For example")
        expect(page.get_by_text("Call us")).to_be_hidden()
        for words in ("Ours", "Hint", "Foot"):
            expect(page.get_by_text(words, exact=True)).to_be_visible()
        plays_api(stranger, reply(answered=False, reason="not_answered", passages=[]))
        ask(page, "else")
        expect(page.get_by_text("Call us")).to_be_visible()


def test_words_by_language_and_by_the_page(browser: Browser, host: Site, stranger: Site) -> None:
    """This ensures Spanish from the page's or the box's language, English otherwise, and a page's own wording."""
    with show(browser, host, stranger, FULL) as page:
        found = asked(page, host)
        heading = found.locator("[part=status]").get_by_role("heading")
        for change, words in (
            ("b.lang = 'es-MX'", "2 pasajes de la biblioteca"),
            ("b.removeAttribute('lang'); document.documentElement.lang = 'es'", "2 pasajes de la biblioteca"),
            ("b.lang = 'de'", "2 passages from the library"),
            ("b.constructor.strings.de = {many: '{x} Stellen'}; b.lang = 'de-AT'", "2 Stellen"),
            ("b.strings = {many: 'Found {x}'}", "Found 2"),
        ):
            found.evaluate(f"b => {{ {change}; b.theme = b.theme === 'light' ? 'auto' : 'light' }}")
            expect(heading).to_have_text(words)


@pytest.mark.parametrize("way", ["button", "Escape", "frame"])
def test_quick_exit_leaves_no_way_back(browser: Browser, host: Site, stranger: Site, way: str) -> None:
    """This ensures that leaving blanks the page, goes to a harmless one, and that Back does not return."""
    plays_api(stranger, reply())
    embedded = page_with(stranger.origin, 'quick-exit="https://neutral.test/"')
    framed = '<title>outer</title><iframe src="/box" width="800" height="600"></iframe>'
    host.pages |= {"/box": Reply(embedded), "/": Reply(framed if way == "frame" else embedded)}
    with opened(browser) as page:
        page.route("https://neutral.test/", lambda route: route.fulfill(body="<title>Weather</title>"))
        page.goto("about:blank")
        page.goto(host.origin)
        frame = page.frames[-1]
        frame.locator("textarea").fill(QUESTION)
        before = page.evaluate("history.length")

        if way == "Escape":
            page.keyboard.press("Escape")
            expect(frame.get_by_text("press Escape 2× more")).to_have_count(1)
            page.keyboard.press("Escape")
            page.keyboard.press("Escape")
        else:
            frame.get_by_role("button", name="Leave this page now").click()

        page.wait_for_url("https://neutral.test/")
        assert page.evaluate("history.length") == before
        page.go_back()
        assert page.url == "about:blank"
