"""What the search box says when something is wrong, and how it behaves meanwhile; servers are played, see support."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_support import (
    CANARY,
    QUESTION,
    Reply,
    Seen,
    Site,
    ask,
    opened,
    page_with,
    passage,
    plays_api,
    reply,
)
from playwright.sync_api import Browser, Page, expect

PROBLEM = {"type": "x", "title": "x", "request_id": "9f2c4e6a8b0d1f3e", "detail": "Details.", "fix": "A remedy."}
NOTICE = {
    "title": "Call for help now.",
    "text": "Stay with them.",
    "links": [{"label": "Call 112", "href": "tel:112"}, {"label": "Text us", "href": "sms:112"}],
}


def problem(status: int, code: str, **more: Any) -> Reply:
    headers = {"content-type": "application/problem+json", "retry-after": str(more.pop("wait", ""))}
    return Reply(json.dumps({**PROBLEM, "status": status, "code": code, **more}), status, headers)


@pytest.fixture
def page(browser: Browser, host: Site, stranger: Site) -> Any:
    """Open a page whose box asks a played server; every `citewell:` event is kept in `window.told`."""
    plays_api(stranger, reply())
    listen = (
        "window.told = [];"
        "for (const name of ['answer', 'error'])"
        " document.addEventListener(`citewell:${name}`, (e) => window.told.push([name, e.detail, e.composed]));"
    )
    host.pages["/listen.js"] = Reply(listen, headers={"content-type": "text/javascript"})
    host.pages["/"] = Reply(page_with(stranger.origin, head='<script src="/listen.js"></script>'))
    with opened(browser) as page:
        page.goto(host.origin)
        yield page


def box(page: Page) -> Any:
    return page.locator("citewell-search")


def error(page: Page) -> Any:
    return box(page).locator("[part=error]")


def told(page: Page) -> Any:
    return page.evaluate("window.told")


def has_no_axe_violation(page: Page) -> bool:
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += [(scheme, f["id"], f["nodes"][0]["html"]) for f in Axe().run(page).response["violations"]]
    return found == []


def test_request_carries_no_cookie_and_no_referrer(page: Page, host: Site, stranger: Site) -> None:
    """This ensures that the server learns the question, the page's origin, and nothing else of page or visitor."""
    page.evaluate("document.cookie = 'a=1'")
    page.evaluate(
        "b => Object.assign(document.querySelector('citewell-search'), {topK: 3, filters: {source_type: ['charity']}})"
    )
    stranger.seen.clear()

    ask(page, QUESTION)
    expect(box(page).get_by_role("listitem")).to_have_count(1)

    asked = [seen for seen in stranger.seen if seen.method == "POST"]
    assert [seen.path for seen in asked] == ["/v1/ask"]
    assert json.loads(asked[0].body) == {"question": QUESTION, "top_k": 3, "filters": {"source_type": ["charity"]}}
    assert not {"cookie", "referer"} & set(asked[0].headers)
    assert asked[0].headers["origin"] == host.origin


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("source_type=government, charity; language=en", {"source_type": ["government", "charity"], "language": "en"}),
        ('{"tags": ["a"], "published_after": "2015-01-01"}', {"tags": ["a"], "published_after": "2015-01-01"}),
        ("", None),
    ],
)
def test_filters_are_written_as_json_or_as_a_list(page: Page, stranger: Site, written: str, sent: object) -> None:
    """This ensures that both ways of writing filters reach the API as it takes them."""
    box(page).evaluate("(b, written) => b.setAttribute('filters', written)", written)

    ask(page, "x")
    expect(box(page).get_by_role("listitem")).to_have_count(1)

    assert json.loads(stranger.seen[-1].body).get("filters") == sent


def test_events_keep_the_question_unless_the_page_asks(page: Page) -> None:
    """This ensures that events carry counts alone, and question and answer only with `expose-question`."""
    ask(page, QUESTION)
    expect(box(page).get_by_role("listitem")).to_have_count(1)
    box(page).evaluate("b => b.setAttribute('expose-question', '')")
    ask(page, f"{QUESTION} again")
    page.wait_for_function("window.told.length === 2")

    (name, detail, is_composed), (_, exposed, _) = told(page)
    counts = {"answered": True, "reason": None, "passages": 1, "nearest": 0, "notices": 0}
    assert (name, detail, is_composed) == ("answer", counts, True)
    assert exposed["question"] == f"{QUESTION} again"
    assert exposed["answer"]["passages"][0]["id"] == "p1"


def test_blocked_by_the_pages_policy(browser: Browser, host: Site, stranger: Site) -> None:
    """This ensures that under a policy without the endpoint the box names what the policy must allow."""
    plays_api(stranger, reply())
    policy = f"default-src 'none'; script-src {stranger.origin}; connect-src 'self'"
    host.pages["/csp"] = Reply(page_with(stranger.origin), headers={"content-security-policy": policy})
    with opened(browser) as page:
        page.goto(f"{host.origin}/csp")
        stranger.seen.clear()

        ask(page, QUESTION)

        expect(error(page)).to_contain_text("This page may not ask the library")
        expect(error(page)).to_contain_text(f"allow {stranger.origin} in connect-src")
        assert stranger.seen == []


def test_blocked_script_leaves_the_form(browser: Browser, host: Site, stranger: Site) -> None:
    """This ensures that where the script is blocked, or JavaScript is off, the form inside the element works."""
    form = (
        f'<form action="{stranger.origin}/" method="post"><label>Q <input name="question"></label><button>Go</button>'
    )
    stranger.pages["/"] = Reply("<h1>Passages</h1>")
    policy = "default-src 'none'; script-src 'none'"
    host.pages["/form"] = Reply(page_with(stranger.origin, inside=form), headers={"content-security-policy": policy})
    with opened(browser) as page:
        page.goto(f"{host.origin}/form")
        page.get_by_label("Q").fill(QUESTION)
        page.get_by_role("button", name="Go").click()

        expect(page.get_by_role("heading")).to_have_text("Passages")
        assert [seen.path for seen in stranger.seen if seen.method == "POST"][-1] == "/"
        assert CANARY not in page.url


def test_origin_that_is_not_allowed(browser: Browser, host: Site, stranger: Site) -> None:
    """This ensures that a site outside the allow-list reads which setting must list it."""
    plays_api(stranger, reply())
    stranger.pages["/v1/ask"] = Reply("no", 400)
    host.pages["/cors"] = Reply(page_with(stranger.origin))
    with opened(browser) as page:
        page.goto(f"{host.origin}/cors")

        ask(page, QUESTION)

        expect(error(page)).to_contain_text("takes no questions from this site")
        expect(error(page)).to_contain_text(f"cors_origins must list {host.origin}")


def test_offline_and_unreachable_differ(page: Page) -> None:
    """This ensures that a visitor learns whether the own connection or the library is gone, and can ask again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    box(page).evaluate("(b, port) => { b.endpoint = `http://127.0.0.1:${port}` }", port)
    ask(page, QUESTION)
    expect(error(page)).to_contain_text("The library can’t be reached")

    page.context.set_offline(True)
    box(page).get_by_role("button", name="Ask again").click()
    expect(error(page)).to_contain_text("You seem to be offline")
    assert has_no_axe_violation(page)

    assert box(page).locator("textarea").input_value() == QUESTION
    assert [detail["code"] for _, detail, _ in told(page)] == ["unreachable", "offline"]


def test_countdown_after_too_many_questions(page: Page, stranger: Site) -> None:
    """This ensures that a limit is a countdown, that nothing is sent meanwhile, and that its notices stand first."""
    plays_api(stranger, lambda _: problem(429, "too_many_requests", wait=120, notices=[NOTICE]))
    page.clock.install()
    page.reload()
    ask(page, QUESTION)

    expect(error(page)).to_contain_text(re.compile(r"You can ask again in 1[12]\d seconds\."))
    expect(box(page).locator("[part=notice]")).to_be_focused()
    expect(box(page).get_by_role("link", name="Text us")).to_have_attribute("href", "sms:112")
    assert has_no_axe_violation(page)
    n_seen = len(stranger.seen)
    page.clock.fast_forward(60_000)
    ask(page, f"{QUESTION} at once")
    expect(error(page)).to_contain_text(re.compile(r"in [456]\d seconds\."))
    assert len(stranger.seen) == n_seen
    page.clock.fast_forward(60_000)
    expect(box(page).get_by_role("button", name="Ask again")).to_be_visible()
    expect(error(page)).to_contain_text("You can ask again now.")
    plays_api(stranger, reply())
    box(page).get_by_role("button", name="Ask again").click()

    expect(box(page).get_by_role("listitem")).to_have_count(1)
    expect(box(page).locator("[part=notice]")).to_have_count(0)


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (problem(500, "internal_error"), ["Something failed in the library", "internal_error · 9f2c4e6a8b0d1f3e"]),
        (Reply("<h1>Bad gateway", 502), ["Something failed in the library"]),
        (problem(422, "question_too_long"), ["can’t take this question", "Details. A remedy."]),
        (Reply("<h1>Hello"), ["This is not an answer from a library", "does not answer like a Citewell server"]),
        (Reply("[1]", headers={"content-type": "application/json"}), ["This is not an answer from a library"]),
        (Reply('{"answered": "yes"}'), ["This is not an answer from a library"]),
        (Reply("gone", 404), ["This is not an answer from a library"]),
        (Reply("", 200), ["This is not an answer from a library"]),
        (Reply("", 302, {"location": "/elsewhere"}), ["The library takes no questions from this site"]),
    ],
    ids=["crash", "proxy", "refused", "page", "list", "other field", "absent", "nothing", "redirect"],
)
def test_server_that_fails_or_is_none(page: Page, stranger: Site, sent: Reply, says: list[str]) -> None:
    """This ensures that every kind of failing or wrong server gives a sentence and, where there is one, an id."""
    plays_api(stranger, lambda _: sent)

    ask(page, QUESTION)

    for words in says:
        expect(error(page)).to_contain_text(words)
    assert told(page)[-1][0] == "error"
    assert QUESTION not in json.dumps(told(page))


def test_reply_that_never_ends(page: Page) -> None:
    """This ensures that a reply that is begun and not ended is given up after the timeout."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            head = "HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\naccess-control-allow-headers: content-type\r\n"
            connections = []
            while not ended.is_set():
                connection, _ = server.accept()
                connections.append(connection)
                if connection.recv(65_536).startswith(b"OPTIONS"):
                    connection.sendall(f"{head}content-length: 0\r\nconnection: close\r\n\r\n".encode())
                    connection.close()
                else:
                    connection.sendall(f'{head}content-length: 99999\r\n\r\n{{"answered":'.encode())
            for connection in connections:
                connection.close()

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        box(page).evaluate("(b, to) => { b.endpoint = to; b.timeout = 0.6 }", address)
        ask(page, QUESTION)

        expect(box(page).get_by_text("Looking in the library")).to_be_visible()
        assert box(page).locator("[aria-busy=true]").count() == 1
        assert has_no_axe_violation(page)
        expect(error(page)).to_contain_text("The library takes too long")

        ended.set()
        socket.create_connection(server.getsockname()).close()
        thread.join(timeout=5)


@pytest.mark.parametrize(
    "endpoint",
    ["", "not a url", "javascript:alert(1)", "https://", "https://user:word@example.org", "data:application/json,{}"],
)
def test_endpoint_that_is_none(page: Page, endpoint: str) -> None:
    """This ensures that a wrong address is said at once to whoever sets the page up, and nothing is sent."""
    says = "must be the address of a Citewell server"
    box(page).evaluate("(b, endpoint) => { b.endpoint = endpoint }", endpoint)

    expect(error(page)).to_contain_text(says)
    ask(page, QUESTION)
    expect(error(page)).to_contain_text(says)
    assert [detail["code"] for _, detail, _ in told(page)] == ["endpoint"]
    box(page).evaluate("b => { b.endpoint = '/' }")
    expect(error(page)).to_have_count(0)


def test_plain_endpoint_on_a_secure_page(browser: Browser, stranger: Site) -> None:
    """This ensures that a page on https is told that it needs an endpoint on https."""
    plays_api(stranger, reply())
    script = stranger.pages["/search-box.js"]
    assert isinstance(script, Reply)
    with opened(browser) as page:
        page.route(
            "https://clinic.test/**",
            lambda route: (
                route.fulfill(body=script.body, content_type="text/javascript")
                if route.request.url.endswith(".js")
                else route.fulfill(
                    body=page_with("").replace('endpoint=""', 'endpoint="http://library.test"'),
                    content_type="text/html",
                )
            ),
        )
        page.goto("https://clinic.test/")

        expect(error(page)).to_contain_text("a page on https can only ask an https endpoint")


def test_filters_that_can_not_be_read(page: Page) -> None:
    """This ensures that filters with a typing error stop the box instead of asking without them."""
    box(page).evaluate("b => b.setAttribute('filters', '{\"source_type\": [')")

    expect(error(page)).to_contain_text("the attribute filters can’t be read")


def test_later_question_wins(page: Page, stranger: Site) -> None:
    """This ensures that a stale answer is dropped, and that its request is cancelled, whatever arrives when."""
    gate = threading.Event()

    def answer(seen: Seen) -> Reply:
        question = json.loads(seen.body)["question"]
        if question == "first":
            gate.wait(5)
        return Reply(json.dumps(reply(passages=[passage(text=f"About the {question}.")])))

    plays_api(stranger, answer)
    ask(page, "first")
    expect(box(page).get_by_text("Looking in the library")).to_be_visible()
    ask(page, "second")
    expect(box(page).locator("blockquote")).to_have_text("About the second.")
    gate.set()
    page.wait_for_timeout(150)

    expect(box(page).locator("blockquote")).to_have_text("About the second.")
    assert [name for name, _, _ in told(page)] == ["answer"]


def test_stop_and_clear_end_a_running_question(page: Page, stranger: Site) -> None:
    """This ensures that a visitor can stop, keeps the question, and that `clear` forgets it."""
    gate = threading.Event()
    plays_api(stranger, lambda _: Reply(json.dumps(reply())) if gate.wait(5) else Reply())
    ask(page, QUESTION)
    stop = box(page).get_by_role("button", name="Stop")
    stop.focus()
    stop.click()

    expect(box(page).locator("[part=status]")).to_be_empty()
    assert box(page).locator("textarea").input_value() == QUESTION
    assert box(page).evaluate("b => !!b.shadowRoot.activeElement")
    box(page).evaluate("b => { b.ask('more'); b.clear() }")
    gate.set()
    page.wait_for_timeout(100)
    assert box(page).locator("textarea").input_value() == ""
    assert told(page) == []


def test_changed_option_asks_again_and_drops_the_old_answer(page: Page, stranger: Site) -> None:
    """This ensures that an endpoint changed while a request runs gets the question, and the old answer no place."""
    gate = threading.Event()

    def slow(_: Seen) -> Reply:
        gate.wait(5)
        return Reply(json.dumps(reply(passages=[passage(text="From the old.")])))

    plays_api(stranger, slow)
    plays_api(stranger, reply(passages=[passage(text="From the new.")]), prefix="/new")
    started = time.monotonic()
    done = box(page).evaluate(
        """async (b, origin) => {
          b.ask("x"); await new Promise((go) => setTimeout(go, 30));
          b.endpoint = `${origin}/new/`; b.topK = 2; b.lang = "es";
        }""",
        stranger.origin,
    )

    expect(box(page).locator("blockquote")).to_have_text("From the new.")
    gate.set()
    page.wait_for_timeout(100)
    expect(box(page).locator("blockquote")).to_have_text("From the new.")
    expect(box(page).get_by_role("heading", name="1 pasaje de la biblioteca")).to_be_visible()
    assert done is None
    assert time.monotonic() - started < 5
    assert [seen.path for seen in stranger.seen if seen.method == "POST"][-2:] == ["/v1/ask", "/new/v1/ask"]
