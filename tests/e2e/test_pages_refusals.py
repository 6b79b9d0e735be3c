"""Pages for somebody in danger and for somebody who is refused: what they see first, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from admin_support import ADMIN
from axe_playwright_python.sync_playwright import Axe
from browser_support import ROOT
from playwright.sync_api import Browser, Page, expect
from served_app import served

from service.admission import Places
from service.errors import TooBusy

DANGER = "my friend took heroin and is not breathing and will not wake up"
SPANISH = "mi hermano no respira y tiene los labios azules, tomó heroína"
NOTICES = {"notices": ROOT / "corpus" / "notices.toml", "country": "US"}
PHONE = {"width": 375, "height": 667}


@contextmanager
def opened(browser: Browser, scheme: str = "light") -> Iterator[Page]:
    """Open a telephone's browser."""
    with browser.new_context(color_scheme=scheme, viewport=PHONE) as context:  # type: ignore[arg-type]
        yield context.new_page()


def ask(tab: Page, origin: str, question: str) -> None:
    tab.goto(origin)
    tab.get_by_label("Your question, in your own words").fill(question)
    tab.get_by_role("button", name="Find the passages").click()
    tab.wait_for_selector("#answer")


def assert_notice_is_in_sight(tab: Page, name: str) -> None:
    """Hold the page against what somebody needs who has seconds: the heading and the call in view, a large target."""
    heading, call = tab.get_by_role("alert").first.get_by_role("heading"), tab.get_by_role("link", name=name)
    expect(heading).to_be_in_viewport(ratio=1)
    expect(call).to_be_in_viewport(ratio=1)
    box = call.bounding_box()
    assert box is not None
    assert box["height"] >= 44


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_notice_is_in_sight_after_asking(browser: Browser, tmp_path: Path, scheme: str) -> None:
    """This ensures that asking leads to the notice, not past it to the passages, and in the voice of its language."""
    with served(tmp_path, **NOTICES) as origin, opened(browser, scheme) as tab:
        ask(tab, origin, DANGER)
        assert_notice_is_in_sight(tab, "Call 911")
        found = Axe().run(tab)
        tab.emulate_media(media="print")
        # A number to call must be readable where no background is printed.
        expect(tab.get_by_role("link", name="Call 911")).to_have_css("color", "rgb(0, 0, 0)")
        tab.emulate_media(media="screen")
        ask(tab, origin, SPANISH)
        assert_notice_is_in_sight(tab, "Llamar al 911")

        assert tab.get_by_role("alert").get_attribute("lang") == "es"
        assert tab.evaluate("document.documentElement.lang") == "en"
        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("status", [422, 429, 503])
def test_refusal_shows_the_notice_first(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, scheme: str
) -> None:
    """This ensures that a question too long, one too many or one too late still brings the notice into sight first."""

    def full(_: Places) -> None:
        raise TooBusy("all places are taken", fix="ask again in a moment")

    question, title = DANGER, "Too many people are asking"
    if status == 503:
        monkeypatch.setattr(Places, "taken", full)
    if status == 422:
        question, title = f"{DANGER} {'please help ' * 40}", "The question is too long"
    with (
        served(tmp_path, **NOTICES, rate_limit="1/minute", max_question_chars=300) as origin,
        opened(browser, scheme) as tab,
    ):
        if status == 429:
            ask(tab, origin, "what is methadone")
            title = "Too many questions"
        with tab.expect_response(lambda reply: reply.request.method == "POST") as replied:
            ask(tab, origin, question)
        assert replied.value.status == status
        assert_notice_is_in_sight(tab, "Call 911")
        found = Axe().run(tab)

        headings = tab.get_by_role("heading").all_inner_texts()
        assert headings.index("This may be an overdose. Call for help now.") < headings.index(title)
        assert tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_closed_library_says_so(browser: Browser, tmp_path: Path, scheme: str) -> None:
    """This ensures that where reading needs a token, a person who comes with a browser learns it, without a form."""
    with served(tmp_path, read_tokens=(ADMIN.setting,)) as origin, opened(browser, scheme) as tab:
        replied = tab.goto(origin)
        found = Axe().run(tab)

        assert replied is not None
        assert replied.status == 401
        expect(tab.get_by_role("heading", name="A token is needed")).to_be_visible()
        expect(tab.get_by_role("alert")).to_contain_text("not open to everybody")
        assert tab.locator("form").count() == 0
        assert found.violations_count == 0, found.generate_report()
