"""The examples for site owners, each as it is, with a real server's address in place of the example one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from browser_support import DANGER, OFF_TOPIC, QUESTION, ROOT, Reply, Site, ask, opened, plays_api, reply
from playwright.sync_api import Browser, expect

EXAMPLES = ROOT / "service/web/examples"
EXAMPLE_ORIGIN = "https://citewell.example.org"
MEDIA_TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript"}


@pytest.fixture
def example(host: Site, api: str) -> str:
    """Serve the folder of examples from another origin than the API's; gives its address."""
    for path in EXAMPLES.rglob("*.*"):
        if path.suffix in MEDIA_TYPES:
            text = path.read_text().replace(EXAMPLE_ORIGIN, api)
            host.pages[f"/{path.relative_to(EXAMPLES).as_posix()}"] = Reply(
                text, headers={"content-type": MEDIA_TYPES[path.suffix]}
            )
    return host.origin


def test_static_site_with_its_policy(browser: Browser, example: str) -> None:
    """This ensures that the static example answers under the policy that it states, and says nothing on the console."""
    with opened(browser) as page:
        console: list[str] = []
        page.on("console", lambda message: console.append(message.text))
        page.goto(f"{example}/static/index.html")
        ask(page, QUESTION)

        expect(page.get_by_role("heading", name="passages from the library")).to_be_visible()
        expect(page.get_by_role("textbox")).to_have_count(1)
        expect(page.get_by_text("In an emergency")).to_be_visible()
        assert console == []


def test_static_site_without_javascript(browser: Browser, example: str, api: str) -> None:
    """This ensures that with JavaScript off the form inside the element asks, and the server's page answers."""
    with opened(browser, java_script_enabled=False) as page:
        page.goto(f"{example}/static/index.html")
        page.get_by_label("Your question").fill(DANGER)
        page.get_by_role("button").click()

        expect(page.get_by_role("alert").first).to_contain_text("This may be an overdose")
        expect(page.locator("blockquote").first).to_be_visible()
        assert page.url.startswith(f"{api}/")
        assert "heroin" not in page.url


def test_wordpress_page_with_a_hostile_theme(browser: Browser, example: str) -> None:
    """This ensures that the box stands a theme that restyles every element of its page, in the page's language."""
    with opened(browser) as page:
        page.goto(f"{example}/wordpress/index.html")
        ask(page, QUESTION)

        expect(page.get_by_role("heading", name="pasaje")).to_be_visible()
        expect(page.locator("blockquote").first).to_be_visible()
        look = page.locator("blockquote").first.evaluate(
            "q => ['textTransform', 'letterSpacing', 'userSelect', 'textAlign'].map(n => getComputedStyle(q)[n])"
        )
        assert look == ["none", "normal", "text", "start"]


def test_frame(browser: Browser, example: str) -> None:
    """This ensures that the box works in a sandboxed frame, where its links open in tabs of their own."""
    with opened(browser) as page:
        page.goto(f"{example}/iframe/index.html")
        frame = page.frame_locator("iframe")
        frame.get_by_role("textbox").fill(QUESTION)
        frame.get_by_role("textbox").press("Enter")
        link = frame.get_by_role("link", name="Read it in the document").first

        with page.expect_popup() as opening:
            link.click()

        expect(opening.value.locator("mark")).to_have_count(1)
        assert "/documents/onset.md?passage=" in opening.value.url


def _react_modules() -> dict[str, str]:
    """Return React from npm as the ES modules that a site's build would make; it comes as CommonJS alone."""
    folder = next(
        (
            f
            for f in (Path(sys.prefix) / "js/node_modules", Path(os.environ.get("NODE_PATH", "-")))
            if (f / "react").is_dir()
        ),
        None,
    )
    if folder is None:
        pytest.skip(
            "React is not installed (make install puts it into .venv/js where npm is): its example is not tested"
        )
    names = {"react": "react/cjs/react", "scheduler": "scheduler/cjs/scheduler", "react-dom": "react-dom/cjs/react-dom"}
    names["react-dom-client"] = "react-dom/cjs/react-dom-client"
    modules = {}
    for name, file in names.items():
        source = (folder / f"{file}.production.js").read_text()
        needs = sorted(set(re.findall(r'require\("([^"]+)"\)', source)))
        imports = "".join(f"import m{i} from './{need}.js';" for i, need in enumerate(needs))
        known = ", ".join(f'"{need}": m{i}' for i, need in enumerate(needs))
        exported = "createElement, useState" if name == "react" else "createRoot" if name == "react-dom-client" else ""
        modules[name] = (
            f"{imports}const module = {{exports: {{}}}}; const known = {{{known}}};"
            f"((module, exports, require) => {{{source}\n}})(module, module.exports, (name) => known[name]);"
            f"export default module.exports;" + (f"export const {{ {exported} }} = module.exports;" if exported else "")
        )
    return modules


def test_react_page(browser: Browser, example: str, host: Site, stranger: Site) -> None:
    """This ensures that React sets attributes and properties, hears events, and that its renders disturb nothing."""
    for name, source in _react_modules().items():
        host.pages[f"/react/vendor/{name}.js"] = Reply(source, headers={"content-type": "text/javascript"})
    plays_api(stranger, reply())
    app = (EXAMPLES / "react/app.js").read_text().replace(EXAMPLE_ORIGIN, stranger.origin)
    host.pages["/react/app.js"] = Reply(app, headers={"content-type": "text/javascript"})
    with opened(browser) as page:
        page.goto(f"{example}/react/index.html")
        ask(page, QUESTION)
        expect(page.locator("#told")).to_have_text("1 passages")
        expect(page.locator("citewell-search").get_by_role("listitem")).to_have_count(1)

        page.get_by_label("Quote from").select_option("charity")
        with page.expect_response("**/v1/ask"):
            ask(page, f"{QUESTION} again")

        asked = [seen.body.decode() for seen in stranger.seen if seen.method == "POST"][-2:]
        assert ['"filters"' in body for body in asked] == [False, True]
        assert all('"top_k":3' in body for body in asked)


CLIENTS = {"python": [sys.executable, "-I", str(EXAMPLES / "ask.py")], "node": ["node", str(EXAMPLES / "ask.mjs")]}


def run_client(kind: str, endpoint: str, question: str) -> subprocess.CompletedProcess[str]:
    """Run a client as its user would; the question goes in by standard input."""
    if shutil.which(CLIENTS[kind][0]) is None:
        pytest.skip("node is not installed: the JavaScript client is not tested")
    return subprocess.run(
        [*CLIENTS[kind], endpoint], input=question, check=False, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("kind", list(CLIENTS))
def test_client_answers_and_puts_notices_first(kind: str, api: str) -> None:
    """This ensures that both clients show quotations with references, and a notice before everything."""
    answered = run_client(kind, api, QUESTION)
    danger = run_client(kind, f"{api}/", DANGER)
    none = run_client(kind, api, OFF_TOPIC)

    assert (answered.returncode, answered.stderr) == (0, "")
    assert "“Heroin withdrawal starts 8 to 24 hours after the last use." in answered.stdout
    assert "When withdrawal starts. Example Health Service, 2019." in answered.stdout
    assert danger.stdout.startswith("This may be an overdose. Call for help now.")
    assert "tel:911" in danger.stdout
    assert (none.returncode, none.stdout.startswith("No answer (off_topic).")) == (1, True)


@pytest.mark.parametrize("kind", list(CLIENTS))
def test_client_names_what_failed(kind: str, api: str, stranger: Site) -> None:
    """This ensures that both clients tell a refusal, a server that is none, and one that is not there apart."""
    plays_api(stranger, lambda _: Reply("<h1>Hello"))
    refused: Any = run_client(kind, api, " ")
    other = run_client(kind, stranger.origin, QUESTION)
    absent = run_client(kind, "http://127.0.0.1:9", QUESTION)

    assert [run.returncode for run in (refused, other, absent)] == [1, 1, 1]
    assert "422 question_empty" in refused.stderr
    assert "200 not_citewell" in other.stderr
    assert absent.stderr.startswith("error: ")
    assert QUESTION not in refused.stderr + other.stderr + absent.stderr
