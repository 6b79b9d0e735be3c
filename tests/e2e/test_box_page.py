"""The search box on a page of another origin, with a real Citewell process behind it, as visitors meet it."""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_support import (
    CANARY,
    DANGER,
    OFF_TOPIC,
    QUESTION,
    Reply,
    Site,
    ask,
    opened,
    page_with,
)
from playwright.sync_api import Browser, Page, expect

STRICT = (
    "default-src 'none'; script-src {api}/; connect-src {api}/; base-uri 'none'; form-action 'none';"
    " require-trusted-types-for 'script'"
)


@pytest.fixture
def page(browser: Browser, host: Site, api: str) -> Any:
    """Open a page that embeds the box, under the strictest policy that lets it work."""
    host.pages["/"] = Reply(page_with(api, "quick-exit"), headers={"content-security-policy": STRICT.format(api=api)})
    with opened(browser) as page:
        page.goto(host.origin)
        yield page


def box(page: Page) -> Any:
    return page.locator("citewell-search")


def test_box_answers_on_another_origin_under_a_strict_policy(page: Page, host: Site, api: str) -> None:
    """This ensures that the box works, styled, where a page allows the script and the connection and nothing else."""
    ask(page, QUESTION)

    expect(box(page).get_by_role("heading", name="passages from the library")).to_be_visible()
    first = box(page).get_by_role("listitem").first
    expect(first.get_by_role("heading")).to_have_text("When withdrawal starts")
    expect(first.locator("mark").first).to_contain_text("8 to 24 hours after the last use")
    expect(first.get_by_text("Before you read:")).to_be_visible()
    expect(first.locator("dl")).to_contain_text("Example Health Service")
    expect(first.locator("dl")).to_contain_text("May 17, 2019")
    expect(first.get_by_role("list", name="Keep in mind")).to_contain_text("Its review is overdue")
    assert (
        first.get_by_role("link", name="Open in the source")
        .get_attribute("href")
        .startswith("https://example.org/onset#")
    )
    assert first.get_by_role("link", name="Read it in the document").get_attribute("href").startswith(f"{api}/c/")
    assert first.evaluate("e => getComputedStyle(e).borderTopWidth") == "1px"


def test_quotation_is_the_served_text(page: Page, api: str) -> None:
    """This ensures that what a visitor reads in the quotation is, character for character, the passage of the API."""
    request = urllib.request.Request(
        f"{api}/v1/ask", json.dumps({"question": QUESTION}).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        sent = json.load(response)

    ask(page, QUESTION)

    expect(box(page).locator("blockquote")).to_have_count(len(sent["passages"]))
    shown = box(page).locator("blockquote").evaluate_all("quotes => quotes.map(q => q.textContent)")
    assert shown == [passage["text"] for passage in sent["passages"]]


def test_nothing_leaves_but_the_question_to_its_endpoint(browser: Browser, host: Site, api: str) -> None:
    """This ensures zero foreign requests, cookies, storage writes, console messages, and no question in an address."""
    host.pages["/quiet"] = Reply(page_with(api))
    with opened(browser) as page:
        requests: list[Any] = []
        console: list[str] = []
        page.on("request", lambda request: requests.extend([request]))
        page.on("console", lambda message: console.append(message.text))
        page.goto(f"{host.origin}/quiet")
        before = page.evaluate("history.length")

        for question in (QUESTION, OFF_TOPIC, DANGER):
            with page.expect_response(f"{api}/v1/ask"):
                ask(page, question)
        expect(box(page).locator("[part=notice]")).to_be_visible()

        to_api = [r for r in requests if r.url.startswith(api)]
        assert {r.url.removeprefix(api) for r in to_api} == {"/search-box.js", "/v1/ask"}
        assert [r for r in requests if not r.url.startswith((api, host.origin))] == []
        assert not any(CANARY in r.url for r in requests)
        assert console == []
        assert page.context.cookies() == []
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
        assert page.evaluate("indexedDB.databases()") == []
        assert page.evaluate("caches.keys()") == []
        assert page.evaluate("[history.length, history.state, location.href]") == [before, None, f"{host.origin}/quiet"]
        assert CANARY not in page.content()


STATES = {
    "empty": (None, []),
    "answer": (QUESTION, ["passages from the library"]),
    "abstention": (OFF_TOPIC, ["This library does not speak about that", "Not an answer, only the closest passages"]),
    "notice": (DANGER, ["This may be an overdose. Call for help now."]),
    "question missing": ("", ["There is no question yet"]),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_state(browser: Browser, host: Site, api: str, scheme: str) -> None:
    """This ensures zero accessibility violations, contrast included, in every state of a light and of a dark box."""
    host.pages["/axe"] = Reply(page_with(api, "quick-exit"))
    with opened(browser, color_scheme=scheme) as page:
        page.goto(f"{host.origin}/axe")
        for state, (question, headings) in STATES.items():
            if question is not None:
                ask(page, question)
            for heading in headings:
                expect(box(page).get_by_role("heading", name=heading)).to_be_visible()

            found = Axe().run(page).response["violations"]

            assert [(state, f["id"], f["nodes"][0]["html"]) for f in found] == []


def test_screen_reader_hears_each_state(page: Page) -> None:
    """This ensures that the accessibility tree names form, count, quotation, abstention, notice and error in order."""
    expect(box(page)).to_match_aria_snapshot("""
- search "Your question, in your own words":
  - text: Your question, in your own words
  - textbox "Your question, in your own words"
  - button "Find the passages"
- button "Leave this page now"
- status
- status
""")
    ask(page, QUESTION)
    expect(box(page)).to_match_aria_snapshot("""
- status:
  - heading "4 passages from the library" [level=2]
  - paragraph: Quoted word for word. The marked words come closest to an answer.
- list:
  - listitem:
    - heading "When withdrawal starts" [level=3]
    - paragraph: Onset
    - paragraph:
      - strong: "Before you read:"
      - text: Mentions withdrawal in detail.
    - blockquote:
      - mark: /Heroin withdrawal starts 8 to 24 hours/
    - term: "Publisher:"
    - definition: Example Health Service
    - list "Keep in mind"
    - link "Open in the source"
    - link "Read it in the document"
    - button "Copy with citation"
""")
    ask(page, OFF_TOPIC)
    expect(box(page)).to_match_aria_snapshot("""
- status:
  - heading "This library does not speak about that" [level=2]
- region "Not an answer, only the closest passages":
  - heading "Not an answer, only the closest passages" [level=2]
""")
    ask(page, DANGER)
    expect(box(page)).to_match_aria_snapshot("""
- region "This may be an overdose. Call for help now.":
  - heading "This may be an overdose. Call for help now." [level=2]
  - paragraph: /Call your local emergency number now/
  - list:
    - listitem:
      - link "Call 911 (emergency)":
        - /url: tel:911
- status:
  - heading
""")
    ask(page, "")
    expect(box(page)).to_match_aria_snapshot("""
- status:
  - heading "There is no question yet" [level=2]
  - paragraph: Type your question, then ask.
""")


def focused(page: Page) -> str:
    """Return what has the keyboard, through shadow roots: its role or tag, and its words."""
    return str(
        page.evaluate("""() => {
          let e = document.activeElement;
          while (e.shadowRoot?.activeElement) e = e.shadowRoot.activeElement;
          return `${e.tagName.toLowerCase()} ${e.tagName === "TEXTAREA" ? "" : e.ariaLabel ?? e.textContent}`.trim();
        }""")
    )


def test_everything_is_done_by_keyboard(page: Page) -> None:
    """This ensures that asking, reading on, copying and leaving work with Tab, Enter, Shift and Space alone."""
    page.keyboard.press("Tab")
    assert focused(page) == "textarea"
    page.keyboard.type("heroin")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type(QUESTION)
    assert box(page).locator("textarea").input_value() == f"heroin\n{QUESTION}"
    page.keyboard.press("Enter")
    expect(box(page).get_by_role("listitem").first).to_be_visible()
    assert focused(page) == "textarea"
    walked = []
    for _ in range(5):
        page.keyboard.press("Tab")
        walked.append(focused(page))
        outline = page.evaluate(
            "() => { const e = document.activeElement.shadowRoot.activeElement;"
            " return e.matches(':focus-visible') ? getComputedStyle(e).outlineWidth : '' }"
        )
        assert outline == "3px"

    assert walked == [
        "button Find the passages",
        "button Leave this page now",
        "a Open in the source",
        "a Read it in the document",
        "button Copy with citation",
    ]
    page.keyboard.press("Space")
    expect(box(page).get_by_role("button", name="Copied")).to_be_focused()
    expect(box(page).get_by_role("status").filter(has_text="Copied")).to_have_count(1)


def test_notice_takes_the_keyboard_and_stands_first(page: Page) -> None:
    """This ensures that somebody in danger is at the notice at once, above every passage, its number a call away."""
    ask(page, DANGER)

    expect(box(page).locator("[part=notice]").first).to_be_focused()
    page.keyboard.press("Tab")
    assert focused(page) == "a Call 911 (emergency)"
    tops = box(page).evaluate(
        "b => ['[part=notice]', '[part=status]', '[part=results]']"
        ".map(s => b.shadowRoot.querySelector(s).getBoundingClientRect().top)"
    )
    assert tops == sorted(tops)


def test_notice_does_not_pull_back_who_has_left_the_box(browser: Browser, host: Site, api: str) -> None:
    """This ensures that a visitor who writes elsewhere meanwhile is told of the notice and keeps the keyboard."""
    host.pages["/elsewhere"] = Reply(page_with(api).replace("</main>", '<input id="other" aria-label="Other"></main>'))
    with opened(browser) as page:
        page.goto(f"{host.origin}/elsewhere")
        page.evaluate(
            "q => { document.querySelector('citewell-search').ask(q); document.getElementById('other').focus() }",
            DANGER,
        )

        expect(box(page).get_by_role("alert")).to_contain_text("This may be an overdose")
        expect(page.locator("#other")).to_be_focused()


def test_copy_takes_words_reference_and_address(browser: Browser, host: Site, api: str) -> None:
    """This ensures that what is copied is the quotation, its reference and its permalink."""
    host.pages["/copy"] = Reply(page_with(api))
    with opened(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        page.goto(f"{host.origin}/copy")
        ask(page, QUESTION)
        first = box(page).get_by_role("listitem").first
        first.get_by_role("button").click()
        expect(first.get_by_role("button")).to_have_text("Copied")

        copied = page.evaluate("navigator.clipboard.readText()")

        quote = first.locator("blockquote").evaluate("q => q.textContent")
        assert copied.startswith(f"“{quote}”\n\nWhen withdrawal starts. Example Health Service, 2019.")
        assert copied.endswith(first.get_by_role("link", name="Read it").get_attribute("href"))


def test_copy_without_a_clipboard_gives_the_text_to_copy(browser: Browser, host: Site, api: str) -> None:
    """This ensures that where browsers refuse both ways of copying, the selected text is there to be copied by hand."""
    host.pages["/byhand"] = Reply(page_with(api))
    with opened(browser) as page:
        page.goto(f"{host.origin}/byhand")
        page.evaluate(
            "() => { Object.defineProperty(navigator, 'clipboard', {value: undefined});"
            " document.execCommand = () => false }"
        )
        ask(page, QUESTION)
        box(page).get_by_role("button", name="Copy with citation").first.click()

        by_hand = box(page).get_by_label("Copy this text:")
        expect(by_hand).to_be_focused()
        assert by_hand.evaluate("t => t.selectionEnd - t.selectionStart === t.value.length && t.value.length > 80")


def test_time_from_answer_to_paint(page: Page, record_property: pytest.RecordProperty) -> None:
    """This ensures that an answer is painted within 100 ms of its arrival, which people feel as at once."""
    took = page.evaluate(
        """async (question) => {
          const box = document.querySelector("citewell-search");
          await box.ask(question);
          const times = [];
          for (let i = 0; i < 5; i++) {
            box.clear();
            await box.ask(question);
            const entry = performance.getEntriesByType("resource").filter(e => e.name.endsWith("/v1/ask")).at(-1);
            await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
            times.push(performance.now() - entry.responseEnd);
          }
          return times.sort((a, b) => a - b)[2];
        }""",
        QUESTION,
    )

    record_property("answer_to_paint_ms", round(took, 1))
    sys.stdout.write(f"answer to paint: {took:.1f} ms\n")
    assert took < 100
