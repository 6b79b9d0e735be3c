"""The pages in a real browser: for everybody, without a script, by keyboard alone, and nothing sent elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_support import Reply, Site
from edited_library import BEFORE, FIRST, GONE, LOST, MOVED, SECOND, cited, library
from playwright.sync_api import Browser, Page, expect
from served_app import served
from service_support import abstention_of

from index.store import IndexDir
from index.testing import tiny_document, tiny_documents, tiny_passages, write_tiny_snapshot
from service.pages import KINDS

QUESTION = "canary how is methadone taken"
PASSAGE = tiny_documents()[0][1][1]
# Shown in parts.
BOOK = tiny_document("book.md", "A book", {f"Chapter {n}": [f"Line {n}. " + "It goes on. " * 900] for n in range(20)})
BOOK_PASSAGES = tiny_passages(BOOK)
ALWAYS = (*tiny_documents(), (BOOK, BOOK_PASSAGES))


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a library to all tests of the module, in which passages have moved, changed and been withdrawn."""
    folder = tmp_path_factory.mktemp("served")
    write_tiny_snapshot(IndexDir(folder / "index"), (*ALWAYS, *library(FIRST)))
    with served(folder, (*ALWAYS, *library(SECOND)), rate_limit="") as origin:
        yield origin


def ask(tab: Page, origin: str, question: str = QUESTION) -> None:
    tab.goto(origin)
    tab.get_by_label("Your question, in your own words").fill(question)
    tab.get_by_role("button", name="Find the passages").click()
    tab.wait_for_selector("#answer")


STATES: dict[str, Callable[[Page, str], object]] = {
    "empty": lambda tab, origin: tab.goto(origin),
    "answer": ask,
    "error": lambda tab, origin: tab.goto(f"{origin}/nowhere"),
    "library": lambda tab, origin: tab.goto(f"{origin}/documents"),
    "library, nothing": lambda tab, origin: tab.goto(f"{origin}/documents?tag=absent"),
    "reader": lambda tab, origin: tab.goto(f"{origin}/documents/guides/methadone.md"),
    "reader, marked": lambda tab, origin: tab.goto(f"{origin}/c/{PASSAGE.id}"),
    "reader, moved": lambda tab, origin: tab.goto(f"{origin}/c/{cited('b.md', MOVED)}"),
    "reader, a part": lambda tab, origin: tab.goto(f"{origin}/c/{BOOK_PASSAGES[9].id}"),
    "changed": lambda tab, origin: tab.goto(f"{origin}/c/{cited('a.md', BEFORE)}"),
    "changed, lost": lambda tab, origin: tab.goto(f"{origin}/c/{cited('a.md', LOST)}"),
    "withdrawn": lambda tab, origin: tab.goto(f"{origin}/c/{cited('c.md', GONE)}"),
    "unknown link": lambda tab, origin: tab.goto(f"{origin}/c/{'0' * 20}"),
    "other language": lambda tab, origin: ask(tab, origin, "Как долго длится синдром отмены героина?"),
    "embed": lambda tab, origin: tab.goto(f"{origin}/embed"),
}


SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
GONE_STATES = ("error", "withdrawn", "unknown link")


@pytest.mark.parametrize("state", STATES)
def test_page_is_accessible_and_fits(browser: Browser, origin: str, state: str) -> None:
    """This ensures that every page in every state passes all of axe's rules, light and dark, and fits every screen."""
    with browser.new_context(viewport={"width": 360, "height": 740}) as context:
        tab = context.new_page()
        STATES[state](tab, origin)
        for scheme in SCHEMES:
            tab.emulate_media(color_scheme=scheme)
            found = Axe().run(tab)
            assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"

        # A small telephone, which is also 1280 pixels at 400 percent, and a very large screen.
        for width in (320, 3840):
            tab.set_viewport_size({"width": width, "height": 800})
            assert tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


SPOKEN = {
    "answer": """
- region "5 passages from the library":
  - heading "5 passages from the library" [level=2]
  - article "Methadone":
    - heading "Methadone" [level=3]
    - paragraph: What it is
    - paragraph:
      - strong: "Before you read:"
      - text: mentions injecting
    - blockquote:
      - mark: Methadone is a long-acting opioid. It is taken once a day.
    - paragraph:
      - link "Read it in the document"
      - link "Go to the source"
""",
    "other language": """
- heading "The language of this question is not understood here" [level=2]
- paragraph: /Please ask in English\\./
""",
    "changed": """
- heading "This passage has changed" [level=1]
- paragraph:
  - strong: It is not what was cited.
- article "Title of a.md":
  - heading "Title of a.md" [level=2]
  - paragraph: The passage as it stands now
  - paragraph:
    - strong: "Before you read:"
  - blockquote: The clinic opens at ten. Methadone is given until noon. Bring a card with your name.
  - paragraph:
    - link "Read it in the document"
""",
    "withdrawn": """
- heading "This passage was withdrawn" [level=1]
- paragraph: /Its words are not shown any more/
- paragraph:
  - link "Ask what the library says now"
""",
    "unknown link": """
- heading "Not found" [level=1]
- alert:
  - paragraph: /There is nothing at this address/
- paragraph:
  - link "Ask a question"
""",
    "reader, moved": """
- heading "Title of a.md" [level=1]
- paragraph:
  - strong: "Before you read:"
- paragraph: /has moved/
- article:
  - paragraph:
    - mark: Families are welcome at most groups. They need not register.
- navigation "Passages of the document":
  - link "Previous passage"
""",
}


@pytest.mark.parametrize("state", SPOKEN)
def test_screen_reader_hears_each_state(browser: Browser, origin: str, state: str) -> None:
    """This ensures that the accessibility tree says what happened first, and then what there is and where it leads."""
    with browser.new_context() as context:
        tab = context.new_page()
        STATES[state](tab, origin)

        expect(tab.get_by_role("main")).to_match_aria_snapshot(SPOKEN[state])


def test_abstention_with_a_notice_has_no_accessibility_violation(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that what somebody in danger sees first is a labelled region that assistive technology announces."""
    monkeypatch.setattr("service.runtime.answer_question", lambda _q, snapshot, *_, **__: abstention_of(snapshot))
    with served(tmp_path) as origin, browser.new_context() as context:
        tab = context.new_page()
        ask(tab, origin)

        found = Axe().run(tab)
        headings = tab.get_by_role("heading").all_inner_texts()

        expect(tab.get_by_role("alert")).to_contain_text("Stay with the person.")
        assert tab.get_by_role("link", name="Call").get_attribute("href") == "tel:112"
    assert found.violations_count == 0, found.generate_report()
    assert headings.index("Call now") < headings.index("Not an answer, only the closest passages")


def test_everything_works_without_javascript(browser: Browser, origin: str) -> None:
    """This ensures that asking, reading, opening the source and browsing need no script."""
    with browser.new_context(java_script_enabled=False) as context:
        tab = context.new_page()
        ask(tab, origin)
        assert tab.locator("blockquote mark").count() > 0
        source = tab.get_by_role("link", name="Go to the source").first.get_attribute("href")
        assert source is not None
        assert source.startswith("https://example.org/")
        tab.get_by_role("link", name="Read it in the document").first.click()
        assert tab.locator("mark").count() > 0
        tab.get_by_role("link", name="The library").click()
        tab.get_by_label("Kind of source").select_option("health_service")
        tab.get_by_role("button", name="Show").click()

        assert tab.get_by_role("heading", name="1 document", exact=True).is_visible()


def test_whole_way_is_open_to_the_keyboard(browser: Browser, origin: str) -> None:
    """This ensures that somebody without a pointer asks, opens the passage and steps to the next one."""
    with browser.new_context() as context:
        tab = context.new_page()
        tab.goto(origin)
        assert tab.evaluate("document.activeElement.id") == "question"
        tab.keyboard.type(QUESTION)
        reached = []
        for _ in range(4):
            tab.keyboard.press("Tab")
            reached.append(tab.evaluate("document.activeElement.textContent.trim()"))
            if reached[-1] == "Find the passages":
                break
        tab.keyboard.press("Enter")
        tab.wait_for_selector("#answer")
        tab.get_by_role("link", name="Read it in the document").first.focus()
        tab.keyboard.press("Enter")
        tab.wait_for_selector("article.text")
        tab.get_by_role("link", name=re.compile("(Next|Previous) passage")).first.focus()
        with tab.expect_navigation():
            tab.keyboard.press("Enter")

        assert reached[-1] == "Find the passages"
        assert "?passage=" in tab.url


def test_marked_passage_is_in_sight(browser: Browser, origin: str) -> None:
    """This ensures that a permalink scrolls to the quoted words and leaves them clear of the bar below."""
    with browser.new_context(viewport={"width": 360, "height": 500}) as context:
        tab = context.new_page()
        tab.goto(f"{origin}/c/{PASSAGE.id}")
        box = tab.locator("mark").first.bounding_box()
        bar = tab.locator(".bar").bounding_box()

    assert box is not None
    assert bar is not None
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= bar["y"]


def test_nothing_is_sent_elsewhere_kept_or_said(browser: Browser, origin: str) -> None:
    """This ensures that a walk through all pages makes no foreign request, cookie, storage or console line."""
    with browser.new_context() as context:
        tab = context.new_page()
        seen, said = [], []
        tab.on("request", lambda request: seen.append(request.url))
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        for name, visit in STATES.items():
            if name not in GONE_STATES:  # of which the browser itself speaks on the console
                visit(tab, origin)
                assert tab.evaluate("localStorage.length + sessionStorage.length") == 0
        cookies = context.cookies()

    assert [url for url in seen if not url.startswith(f"{origin}/")] == []
    assert [url for url in seen if "canary" in url] == []
    assert (cookies, said) == ([], [])


OPTIONS: list[tuple[str, str, dict[str, str]]] = [
    ("top-k", "10", {"top-k": "10"}),
    ("source_type", "peer_reviewed", {"filters": '{"source_type":["peer_reviewed"]}'}),
    ("lang", "en", {"lang": "en"}),
    ("lang", "es", {"lang": "es"}),
    ("theme", "light", {"theme": "light"}),
    ("theme", "dark", {"theme": "dark"}),
]


# What a browser makes of the lines: the attributes of the box in them.
_WRITTEN = """lines => {
  const page = new DOMParser().parseFromString(lines.textContent, "text/html");
  return Object.fromEntries([...page.querySelector("citewell-search").attributes].map((a) => [a.name, a.value]));
}"""


def test_every_option_is_in_the_lines(browser: Browser, origin: str) -> None:
    """This ensures that each choice alone changes the box and the lines alike, and that taking it back does too."""
    with browser.new_context() as context:
        tab = context.new_page()
        tab.goto(f"{origin}/embed")
        lines, preview = tab.locator("#snippet"), tab.locator("#preview")
        first = lines.inner_text()
        for name, value, attributes in OPTIONS:
            field = tab.locator(f"select[name='{name}']")
            default = field.input_value()
            field.select_option(value)
            written = lines.evaluate(_WRITTEN)

            assert written == {"endpoint": origin, "top-k": "3", **attributes}
            assert {key: preview.get_attribute(key) for key in attributes} == attributes
            assert ("Su pregunta" in lines.inner_text()) is (value == "es")
            field.select_option(default)
            assert lines.inner_text() == first
        every = tab.locator("select[name='source_type'] option").all_inner_texts()

    assert every == ["All kinds of source", *KINDS.values()]
    assert 'autocomplete="off"' in first


def test_embedding_page_without_javascript(browser: Browser, origin: str) -> None:
    """This ensures that a site owner without JavaScript gets lines that work, and no controls that do nothing."""
    with browser.new_context(java_script_enabled=False) as context:
        tab = context.new_page()
        tab.goto(f"{origin}/embed")

        expect(tab.get_by_text("Choosing and trying need JavaScript")).to_be_visible()
        expect(tab.locator("#snippet")).to_contain_text(f'endpoint="{origin}"')
        expect(tab.locator("#snippet")).to_contain_text("integrity=")
        assert tab.get_by_role("combobox").count() == 0
        assert tab.get_by_role("button").count() == 0
        assert tab.get_by_role("heading", name="The box, live").count() == 0


def test_site_owner_gets_lines_that_work(browser: Browser, origin: str) -> None:
    """This ensures that the lines on the embedding page follow the choices and pin the very script that is served."""
    with browser.new_context() as context:
        tab = context.new_page()
        tab.goto(f"{origin}/embed")
        tab.get_by_label("Most passages shown").select_option("5")
        tab.get_by_label("Quote from").select_option("government")
        tab.get_by_label("Language").select_option("es")
        tab.get_by_label("Words in the empty field").fill('"quoted" & <b>')
        tab.get_by_label("Show a button").check()
        lines = tab.locator("#snippet").inner_text()
        preview = tab.locator("#preview")
        assert preview.get_attribute("placeholder") == '"quoted" & <b>'
        assert preview.get_attribute("quick-exit") == ""
        site = Site()
        site.pages["/"] = Reply(f"<!doctype html><title>A site</title>{lines}")
        host = context.new_page()
        said: list[str] = []
        host.on("console", lambda message: said.append(message.text))
        host.goto(site.origin)
        host.wait_for_function("customElements.get('citewell-search') !== undefined", timeout=10_000)
        shown = host.locator("citewell-search")

        assert shown.get_attribute("filters") == '{"source_type":["government"]}'
        assert (shown.get_attribute("top-k"), shown.get_attribute("lang")) == ("5", "es")
        assert said == []
        site.close()
