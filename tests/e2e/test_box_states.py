"""States of the search box that came with later servers, and what many boxes leave behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_support import QUESTION, Reply, Site, ask, opened, page_with, plays_api, reply
from playwright.sync_api import Browser, Page, expect

N_MOUNTS = 200
NOTICE = {
    "title": "Pida ayuda ahora.",
    "text": "Quédese con la persona.",
    "language": "es",
    "links": [{"label": "Llamar al 112", "href": "tel:112"}],
}


@pytest.fixture
def page(browser: Browser, host: Site, stranger: Site) -> Iterator[Page]:
    """Open a page with a box whose server a test plays."""
    plays_api(stranger, reply())
    host.pages["/"] = Reply(page_with(stranger.origin))
    with opened(browser) as page:
        page.goto(host.origin)
        yield page


@pytest.mark.parametrize(
    ("lang", "codes", "title", "advice"),
    [
        ("en", ["en"], "This language is not understood here", "Please ask in English."),
        (
            "en",
            ["en", "es", "pt"],
            "This language is not understood here",
            "Please ask in English, Spanish, or Portuguese",
        ),
        ("es", ["en", "es"], "Aquí no se entiende este idioma", "Por favor, pregunte en inglés o español."),
        ("en", None, "This language is not understood here", "Try other words"),
        ("en", [7, "<b>", "not a code", {}, None], "This language is not understood here", "Try other words"),
    ],
    ids=["one", "three", "Spanish", "an older server", "a hostile server"],
)
def test_unknown_language_says_which_are_understood(
    page: Page, stranger: Site, lang: str, codes: object, title: str, advice: str
) -> None:
    """This ensures that a visitor whose language is not understood reads which are, as far as the server tells."""
    plays_api(stranger, reply(answered=False, reason="language_not_supported", passages=[], languages=codes))
    box = page.locator("citewell-search")
    box.evaluate("(box, lang) => box.lang = lang", lang)
    ask(page, QUESTION)

    expect(box.get_by_role("heading", name=title)).to_be_visible()
    status = box.get_by_role("status").filter(has_text=title)
    expect(status).to_contain_text(advice)
    assert Axe().run(page).violations_count == 0


def test_notice_is_spoken_in_its_own_language(page: Page, stranger: Site) -> None:
    """This ensures that a Spanish notice in an English box is marked as Spanish, and what stands around it is not."""
    plays_api(stranger, reply(notices=[NOTICE]))
    ask(page, QUESTION)
    box = page.locator("citewell-search")

    expect(box.locator("[part=notice]")).to_have_attribute("lang", "es")
    assert box.evaluate("b => b.shadowRoot.querySelector('[part=box]').lang") == "en"
    expect(box).to_match_aria_snapshot("""
- region "Pida ayuda ahora.":
  - heading "Pida ayuda ahora." [level=2]
  - paragraph: Quédese con la persona.
  - list:
    - listitem:
      - link "Llamar al 112":
        - /url: tel:112
""")


def test_two_hundred_boxes_leave_nothing_behind(page: Page) -> None:
    """This ensures that boxes that come, answer and go leave the browser no listener, node or document more."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    mount = """async ([n, question]) => {
      const first = document.querySelector("citewell-search");
      const mount = async () => {
        const box = first.cloneNode();
        box.setAttribute("quick-exit", "");
        document.querySelector("main").append(box);
        await box.ask(question);
        if (!box.shadowRoot.querySelector("[part=passage]")) throw new Error("no answer");
        box.remove();
      };
      for (let i = 0; i < n; i += 10) await Promise.all(Array.from({ length: 10 }, mount));
    }"""

    def left() -> dict[str, float]:
        for _ in range(3):  # what one collection frees lets the next one free more
            session.send("HeapProfiler.collectGarbage")
        counts = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
        return {name: counts[name] for name in ("Nodes", "JSEventListeners", "Documents")}

    page.evaluate(mount, [10, QUESTION])
    before = left()
    page.evaluate(mount, [N_MOUNTS, QUESTION])
    after = left()

    # One box alone has more than fifty nodes and ten listeners.
    assert after["JSEventListeners"] - before["JSEventListeners"] <= 5
    assert after["Nodes"] - before["Nodes"] <= 50
    assert after["Documents"] == before["Documents"]
