"""The admin page as a person uses it: a real browser, a real server, a real build."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from admin_process import AdminServer, serve_admin
from admin_support import ADMIN, ZEBRA, write_corpus
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_MS = 180_000
HOSTILE = b"# <img src=x onerror=alert(1)>\n\n## Use\n\nA page whose title would run if it were made into HTML.\n"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed: the page is not looked at")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start the browser that is installed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminServer]:
    """Serve a library without an index yet."""
    folder = tmp_path_factory.mktemp("page")
    write_corpus(folder / "corpus")
    with serve_admin(folder) as server:
        yield server


@pytest.fixture
def page(browser: Browser, server: AdminServer) -> Iterator[Page]:
    """Open the admin page; the console must stay empty but for refusals that the test provokes."""
    context = browser.new_context(viewport={"width": 900, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda line: said.append(line.text) if "Failed to load resource" not in line.text else None)
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(f"{server.url}/admin")
    yield page
    context.close()
    assert said == []


def sign_in(page: Page, token: str = ADMIN.token) -> None:
    page.get_by_label("Admin token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def look(page: Page, name: str) -> None:
    """Hold the page against the accessibility rules, light and dark, and against a narrow screen."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{name}, {scheme}: {found.generate_report()}"
        if folder := os.environ.get("ADMIN_PAGE_SHOTS"):
            page.screenshot(path=f"{folder}/{name}-{scheme}.png")
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, name
    if folder := os.environ.get("ADMIN_PAGE_SHOTS"):
        page.screenshot(path=f"{folder}/{name}-narrow.png", full_page=True)
    page.set_viewport_size({"width": 900, "height": 900})


def files(page: Page, **contents: bytes) -> None:
    payload = [{"name": n.replace("_", "."), "mimeType": "", "buffer": c} for n, c in contents.items()]
    page.get_by_label("Files").set_input_files(payload)


def build(page: Page, server: AdminServer, name: str = "") -> None:
    """Press the button, see progress, wait until it is published and served."""
    page.get_by_role("button", name="Build", exact=True).click()
    expect(page.get_by_role("progressbar")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Build", exact=True)).to_be_disabled()
    if name:
        look(page, name)
    expect(page.locator("#report")).to_contain_text("The build is published", timeout=PATIENCE_MS)
    server.wait_for_snapshot(_current(server))


def _current(server: AdminServer) -> str:
    snapshots = server.call("GET", "/v1/admin/snapshots").json["snapshots"]
    return str(next(snapshot["id"] for snapshot in snapshots if snapshot["is_current"]))


def test_wrong_token_is_said(page: Page) -> None:
    """This ensures that a person learns what is wrong with a token, and sees nothing of the library."""
    look(page, "sign-in")
    for token in ("wrong", "", ADMIN.setting):
        sign_in(page, token)
    expect(page.locator("#token-problem")).to_contain_text("not known here")

    look(page, "wrong-token")
    expect(page.locator("#desk")).to_be_hidden()
    expect(page.get_by_label("Admin token")).to_be_focused()


def test_upload_build_report_rollback(page: Page, server: AdminServer) -> None:
    """This ensures that an editor adds documents, builds, reads the report, goes back and deletes."""
    sign_in(page)
    expect(page.locator("#found")).to_contain_text("Documents 1 to 2 of 2", timeout=PATIENCE_MS)
    look(page, "desk")
    build(page, server, "building")
    look(page, "report")
    page.get_by_label("Folder in the library").fill("guides")
    files(page, zebra_md=ZEBRA, program_pdf=b"MZ\x90\x00", hostile_md=HOSTILE)
    expect(page.locator("#said")).to_contain_text("2 of 3 files are in the library folder", timeout=PATIENCE_MS)
    rows = page.locator("#uploads > li")
    expect(rows.nth(0)).to_contain_text("Stored: 1 passage,")
    expect(rows.nth(1)).to_contain_text("its content is a program. Give it")
    expect(page.locator("#changes")).to_contain_text("2 new", timeout=PATIENCE_MS)
    expect(page.locator("#documents")).to_contain_text("<img src=x onerror=alert(1)>")
    look(page, "uploads")

    build(page, server)
    expect(page.locator("#report > p")).to_have_text("Documents: 2 added.")
    expect(page.locator("#report details").first).to_contain_text("Added: 2")
    expect(page.locator("#report details").first).to_contain_text("guides/zebra.md")
    assert server.ask("zebra clinic hours")[0] == "guides/zebra.md"
    page.get_by_text("Earlier builds").click()
    page.locator("#builds").get_by_role("button").last.click()
    expect(page.locator("#report .counts")).to_contain_text("Documents2")
    look(page, "earlier-builds")

    page.get_by_role("button", name="Go back to this state").first.click()
    look(page, "confirm")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Go back to this state").first.click()
    page.get_by_role("button", name="Yes").click()
    expect(page.locator("#said")).to_contain_text("is live", timeout=PATIENCE_MS)
    server.wait_for_snapshot(_current(server))
    assert "guides/zebra.md" not in server.ask("zebra clinic hours")

    page.get_by_label("Search in names and titles").fill("zebra")
    page.keyboard.press("Enter")
    expect(page.locator("#found")).to_contain_text("1 of 1", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Delete: guides/zebra.md").click()
    expect(page.get_by_role("button", name="No, keep it")).to_be_focused()
    page.get_by_role("button", name="Yes").click()
    expect(page.locator("#found")).to_contain_text("No document is found", timeout=PATIENCE_MS)
    assert server.call("DELETE", "/v1/admin/documents/guides/zebra.md").status == 404


def test_drop_and_replace(page: Page, server: AdminServer) -> None:
    """This ensures that a dropped file is stored, that replacing asks first, and that no is taken for an answer."""
    drop = """async (name) => {
        const data = new DataTransfer();
        data.items.add(new File(["# Dropped\\n\\n## Use\\n\\nA dropped page about naloxone kits.\\n"], name));
        const box = document.getElementById("drop");
        box.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }"""
    sign_in(page)
    expect(page.locator("#found")).to_contain_text("Documents", timeout=PATIENCE_MS)
    page.evaluate(drop, "dropped.md")
    expect(page.locator("#uploads > li").first).to_contain_text("Stored", timeout=PATIENCE_MS)

    page.evaluate(drop, "dropped.md")
    page.get_by_role("button", name="No, keep it").click()
    expect(page.locator("#uploads > li").nth(1)).to_contain_text("the document that is there was kept")
    page.evaluate(drop, "dropped.md")
    page.get_by_role("button", name="Yes").click()
    expect(page.locator("#uploads > li").nth(2)).to_contain_text("Replaced", timeout=PATIENCE_MS)


def test_token_is_kept_nowhere(page: Page) -> None:
    """This ensures that signing out or loading the page again asks for the token, and nothing was stored."""
    sign_in(page)
    expect(page.locator("#desk")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#desk")).to_be_hidden()
    assert page.locator("#documents").inner_text() == ""
    sign_in(page)
    expect(page.locator("#desk")).to_be_visible(timeout=PATIENCE_MS)

    page.reload()

    expect(page.get_by_label("Admin token")).to_be_focused()
    assert page.get_by_label("Admin token").input_value() == ""
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_page_without_javascript_says_so(browser: Browser, server: AdminServer) -> None:
    """This ensures that a browser without scripts shows what to do instead."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()

    page.goto(f"{server.url}/admin")

    expect(page.get_by_role("heading", name="This page needs JavaScript")).to_be_visible()
    expect(page.get_by_label("Admin token")).to_be_hidden()
    context.close()


def test_page_that_is_switched_off(browser: Browser, tmp_path: Path) -> None:
    """This ensures that a service without an admin token says how to get one, accessibly."""
    write_corpus(tmp_path / "corpus")
    with serve_admin(tmp_path, CITEWELL_ADMIN_TOKENS="") as server:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{server.url}/admin")

        expect(page.get_by_role("heading", name="Administering is switched off")).to_be_visible()
        look(page, "off")
        context.close()
