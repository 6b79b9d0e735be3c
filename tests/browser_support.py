"""
A browser, a Citewell process and web sites of other origins, for tests of what visitors see. All on this machine.

One process serves all tests. A browser serves one module: while Playwright runs, nothing else can run an event loop.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ROOT = Path(__file__).parents[1]
CITEWELL = [sys.executable, "-c", "from service.cli import main; main()"]
# Nothing that a browser does by itself goes out to the network.
_ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--font-render-hinting=none",
]
CANARY = "canary7f3a"
QUESTION = f"when does heroin withdrawal start {CANARY}"
DANGER = "my friend took heroin and is not breathing and will not wake up"
OFF_TOPIC = "what is the capital of France"
DOCUMENTS = {
    "onset.md": "# When withdrawal starts\n\n## Onset\n\nHeroin withdrawal starts 8 to 24 hours after the last use. "
    "It is worst on the second day.\n",
    "methadone.md": "# Methadone\n\n## How it is taken\n\nMethadone is usually taken once a day, under supervision. "
    "Vivitrol is another medicine.\n",
    "naloxone.md": "# Naloxone\n\n## What it does\n\nNaloxone reverses an opioid overdose for 30 to 90 minutes.\n",
    "story.txt": "I stopped heroin in spring. Withdrawal was hard for me and my family.\n",
}
_LIBRARY = """
[defaults]
language = "en"
[documents."onset.md"]
title = "When withdrawal starts"
publisher = "Example Health Service"
published = 2019-05-17
review_due = 2021-05-17
url = "https://example.org/onset"
source_type = "treatment_provider"
funding = "Fees of its clients"
content_note = "Mentions withdrawal in detail."
[documents."story.txt"]
title = "My spring"
source_type = "personal"
"""


@dataclass
class Reply:
    """What a site sends for one path."""

    body: str | bytes = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Seen:
    """One request as a site received it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answering = Reply | Callable[[Seen], Reply]


class Site:
    """A web site on a port of its own: paths and what they reply, and every request that it got."""

    def __init__(self) -> None:
        self.pages: dict[str, Answering] = {"/favicon.ico": Reply(headers={"content-type": "image/x-icon"})}
        self.seen: list[Seen] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen = Seen(self.command, self.path, headers, body)
                site.seen.append(seen)
                page = site.pages.get(self.path.partition("?")[0], Reply("absent", 404))
                reply = page(seen) if callable(page) else page
                content = reply.body.encode() if isinstance(reply.body, str) else reply.body
                sent = {"content-type": "text/html; charset=utf-8", "content-length": str(len(content))}
                try:
                    self.send_response(reply.status)
                    for name, value in {**sent, **reply.headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the page had lost interest

            do_GET = do_POST = do_OPTIONS = handle_any  # noqa: N815  the library's names

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop taking requests."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start the chromium that is installed; without one the tests are left out, and say so."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium on PATH: what visitors see is not tested here (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        # Playwright turns the back/forward cache off, which visitors have.
        browser = playwright.chromium.launch(
            executable_path=path, args=_ARGS, ignore_default_args=["--disable-back-forward-cache"]
        )
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[Page]:
    """Open a fresh page; whatever it throws fails the test."""
    context: BrowserContext = browser.new_context(**{"viewport": {"width": 900, "height": 800}, **options})
    context.set_default_timeout(8_000)
    page = context.new_page()
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    yield page
    context.close()
    assert thrown == []


@pytest.fixture(scope="session")
def host() -> Iterator[Site]:
    """Serve pages of another origin, which the API's allow-list names."""
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="session")
def stranger() -> Iterator[Site]:
    """Serve pages of an origin that the API's allow-list does not name; also plays servers that are not Citewell."""
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="session")
def api(host: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Build an index of four documents with the default model and serve it; gives the process's origin."""
    folder = tmp_path_factory.mktemp("box")
    corpus = folder / "corpus"
    corpus.mkdir()
    for name, text in {**DOCUMENTS, "library.toml": _LIBRARY}.items():
        (corpus / name).write_text(text)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CITEWELL_")}
    chosen = {
        "HF_HUB_OFFLINE": "1",
        "CITEWELL_INDEX_DIR": str(folder / "index"),
        "CITEWELL_NOTICES": str(ROOT / "corpus" / "notices.toml"),
        "CITEWELL_LEXICON": str(ROOT / "corpus" / "lexicon.toml"),
        "CITEWELL_COUNTRY": "US",
        "CITEWELL_CORS_ORIGINS": host.origin,
    }
    environment = {**kept, **chosen}
    build = [*CITEWELL, "build", str(corpus), "--json"]
    built = subprocess.run(build, check=False, capture_output=True, text=True, timeout=300, env=environment, cwd=folder)
    assert built.returncode == 0, built.stderr
    log_path = folder / "log"
    with log_path.open("w") as log:
        process = subprocess.Popen([*CITEWELL, "serve", "--port", "0"], stderr=log, env=environment, cwd=folder)
    try:
        yield _origin_of(process, log_path)
        assert CANARY not in log_path.read_text()
    finally:
        process.terminate()
        process.wait(timeout=30)


def _origin_of(process: subprocess.Popen[bytes], log_path: Path) -> str:
    """Return the origin once connections are taken; the listening line names it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log_path.read_text()
        first, end, _ = log_path.read_text().partition("\n")
        if end:
            return str(json.loads(first)["url"]).rstrip("/")
        time.sleep(0.05)
    raise AssertionError(log_path.read_text())


def page_with(api: str, attributes: str = "", inside: str = "", head: str = "", lang: str = "en") -> str:
    """Return a page of a site that has embedded the box."""
    return f"""<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>A clinic</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<script type="module" src="{api}/search-box.js"></script>{head}</head>
<body><main><h1>A clinic</h1>
<citewell-search endpoint="{api}" {attributes}>{inside}</citewell-search>
</main></body></html>"""


def passage(
    number: int = 1, text: str = "Withdrawal starts within a day. It passes.", **document: Any
) -> dict[str, Any]:
    """Return a passage as the API sends it; the first sentence is the evidence."""
    first, _, rest = text.partition(" It")
    return {
        "id": f"p{number}",
        "rank": number,
        "text": text,
        "segments": [{"text": first, "evidence": True}, *([{"text": f" It{rest}", "evidence": False}] if rest else [])],
        "heading_path": ["Onset"],
        "pages": None,
        "document": {
            "title": f"Document {number}",
            "source_type": "charity",
            "language": "en",
            "flags": [],
            **document,
        },
        "citation": {
            "text": f"Document {number}. 2020.",
            "link": "https://example.org/a#:~:text=Withdrawal",
            "permalink": f"/c/p{number}",
        },
        "also_in": [],
    }


def reply(**members: Any) -> dict[str, Any]:
    """Return an answer as the API sends it, with these members."""
    return {
        "answered": True,
        "confidence": 0.9,
        "reason": None,
        "passages": [passage()],
        "nearest": [],
        "notices": [],
        "matched": [],
        **members,
    }


def plays_api(site: Site, answer: Answering | dict[str, Any], prefix: str = "") -> None:
    """Let a site play a Citewell server that sends this to every question, to pages of every origin."""
    allowed = {
        "access-control-allow-origin": "*",
        "access-control-allow-headers": "content-type",
        "access-control-expose-headers": "x-request-id, retry-after",
    }

    def ask(seen: Seen) -> Reply:
        if seen.method == "OPTIONS":
            return Reply(headers=allowed)
        found = answer(seen) if callable(answer) else answer
        made = (
            Reply(json.dumps(found), headers={"content-type": "application/json"}) if isinstance(found, dict) else found
        )
        return Reply(made.body, made.status, {**allowed, **made.headers})

    site.pages[f"{prefix}/v1/ask"] = ask
    site.pages[f"{prefix}/v1/health/live"] = Reply("{}", headers=allowed)
    site.pages["/search-box.js"] = Reply(
        (ROOT / "service/web/search-box.js").read_bytes(),
        headers={"content-type": "text/javascript", "access-control-allow-origin": "*"},
    )


def ask(page: Page, question: str, nth: int = 0) -> None:
    """Type a question and send it, as a person does."""
    page.locator("citewell-search").nth(nth).locator("textarea").fill(question)
    page.locator("citewell-search").nth(nth).locator("textarea").press("Enter")
