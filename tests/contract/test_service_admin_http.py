"""Who may call the admin routes, and reading where it needs a token; what the page may do."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from admin_support import ADMIN, EXPIRED, READ, SECOND_ADMIN, TODAY, admin_client, bearer, code_of, waiting_process
from service_support import tiny_client
from starlette.requests import Request
from starlette.testclient import TestClient

from service import builds, guard
from service.errors import TokenExpired
from service.settings import Settings
from service.tokens import new_token

BUILD = "20260601T093000Z-00000000"
ROUTES = [
    ("GET", "/v1/admin/documents"),
    ("PUT", "/v1/admin/documents/x.md"),
    ("DELETE", "/v1/admin/documents/x.md"),
    ("POST", "/v1/admin/builds"),
    ("GET", "/v1/admin/builds"),
    ("GET", f"/v1/admin/builds/{BUILD}"),
    ("DELETE", f"/v1/admin/builds/{BUILD}"),
    ("GET", f"/v1/admin/builds/{BUILD}/events"),
    ("GET", "/v1/admin/snapshots"),
    ("POST", "/v1/admin/rollback"),
]
READING = [
    ("POST", "/v1/ask"),
    ("GET", "/v1/documents"),
    ("GET", "/v1/documents/guides/naloxone.md"),
    ("GET", "/v1/documents/guides/naloxone.md/text"),
    ("GET", "/v1/passages/x"),
    ("GET", "/"),
    ("POST", "/"),
    ("GET", "/documents/guides/naloxone.md"),
    ("GET", "/c/x"),
]
OPEN = ["/v1/health", "/v1/health/live", "/openapi.json", "/admin", "/static/admin.js", "/static/citewell.css"]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Serve with tokens of every kind, to tests that change nothing."""
    with admin_client(tmp_path_factory.mktemp("admin")) as client:
        yield client


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Serve to a test that changes things; builds wait and do nothing."""
    monkeypatch.setattr(builds, "_spawn", waiting_process)
    with admin_client(tmp_path) as client:
        client.headers.update(bearer(ADMIN.token))
        yield client


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_admin_routes_need_an_admin_token(client: TestClient, method: str, path: str) -> None:
    """This ensures that every admin route is closed to no, a wrong, an expired, an oversized and a reading token."""
    wrong = [{}, bearer("wrong"), {"authorization": f"Basic {ADMIN.token}"}, bearer(ADMIN.token + "x" * 60_000)]
    replies = [client.request(method, path, headers=headers) for headers in wrong]
    expired = client.request(method, path, headers=bearer(EXPIRED.token))
    reading = client.request(method, path, headers=bearer(READ.token))

    bodies = {json.dumps({**reply.json(), "request_id": ""}) for reply in replies}
    assert [(reply.status_code, code_of(reply)) for reply in replies] == [(401, "token_needed")] * 4
    assert len(bodies) == 1
    assert (expired.status_code, code_of(expired)) == (401, "token_expired")
    assert {reply.headers["www-authenticate"] for reply in (*replies, expired)} == {'Bearer realm="citewell"'}
    assert (reading.status_code, code_of(reading)) == (403, "access_denied")


@pytest.mark.parametrize("token", [ADMIN.token, SECOND_ADMIN.token])
def test_two_tokens_are_valid_at_once(client: TestClient, token: str) -> None:
    """This ensures that a token can be changed without a gap."""
    reply = client.get("/v1/admin/snapshots", headers=bearer(token))

    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    assert len(reply.json()["snapshots"]) == 1


@pytest.mark.parametrize(("method", "path"), READING)
def test_reading_needs_a_token_once_there_is_one(client: TestClient, method: str, path: str) -> None:
    """This ensures that asking and reading, by program or page, are closed without a token and open with either."""
    body = (
        {"json": {"question": "naloxone"}} if path == "/v1/ask" else {"data": {"question": "x"}} if path == "/" else {}
    )
    body = body if method == "POST" else {}

    assert client.request(method, path, **body).status_code == 401
    for token in (READ.token, ADMIN.token):
        assert client.request(method, path, headers=bearer(token), **body).status_code in (200, 302, 404)


@pytest.mark.parametrize("path", OPEN)
def test_health_and_pages_stay_open(client: TestClient, path: str) -> None:
    """This ensures that a load balancer needs no token, and a browser none to be asked for one."""
    assert client.get(path).status_code == 200


def test_health_warns_of_tokens_that_end(client: TestClient) -> None:
    """This ensures that an operator hears of tokens that end soon, and health never shows a hash."""
    reply = client.get("/v1/health")

    warnings = [w for w in reply.json()["warnings"] if w.startswith("admin_tokens")]
    assert len(warnings) == 2
    assert SECOND_ADMIN.setting[:12] not in reply.text


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_an_admin_token_there_is_nothing(tmp_path: Path, method: str, path: str) -> None:
    """This ensures that admin routes do not exist unless the operator wants them, whatever is sent."""
    with tiny_client(tmp_path) as client:
        reply = client.request(method, path, headers=bearer(ADMIN.token))
        refused = client.request(method, path)
        document = client.get("/openapi.json").text

    assert (reply.status_code, refused.status_code) in ((404, 404), (401, 401))
    assert "/v1/admin" not in document


def test_page_says_when_it_is_switched_off(tmp_path: Path) -> None:
    """This ensures that a person learns why there is nothing to do, and no script is loaded."""
    with tiny_client(tmp_path) as client:
        page = client.get("/admin")

    assert page.status_code == 200
    assert "Administering is switched off" in page.text
    assert "<script" not in page.text


def test_page_runs_its_own_script_alone(client: TestClient) -> None:
    """This ensures that nothing inline runs, nothing foreign is loaded, and the page says when scripts are off."""
    page = client.get("/admin")
    policy = page.headers["content-security-policy"]

    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "This page needs JavaScript" in page.text
    assert "<script>" not in page.text
    assert " style=" not in page.text
    assert " on" not in "".join(part.partition(">")[0] for part in page.text.split("<button")[1:])


def test_script_makes_text_and_keeps_nothing() -> None:
    """This ensures that the page never makes HTML of text, and stores the token nowhere."""
    scripts = sorted((Path(guard.__file__).parent / "web").glob("admin*.js"))
    script = "".join(path.read_text() for path in scripts)

    for name in (
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
        "Storage",
        "cookie",
        "indexedDB",
    ):
        assert name not in script
    assert len(scripts) == 4
    assert all(len(path.read_text().splitlines()) <= 400 for path in scripts)


@pytest.mark.parametrize("allowed", ["https://example.org", "*"])
@pytest.mark.parametrize("path", ["/v1/admin/documents", "/v1/admin/builds", "/admin"])
def test_no_other_site_reaches_admin_routes(tmp_path: Path, path: str, allowed: str) -> None:
    """This ensures that cors_origins opens asking and reading, and never administering, preflight or not."""
    origin = {"origin": "https://example.org"}
    preflight = {**origin, "access-control-request-method": "GET", "access-control-request-headers": "authorization"}
    with admin_client(tmp_path, cors_origins=(allowed,)) as client:
        asked = client.get("/v1/documents", headers={**origin, **bearer(READ.token)})
        allowed = client.options("/v1/ask", headers={**preflight, "access-control-request-method": "POST"})
        admin = client.get(path, headers={**origin, **bearer(ADMIN.token)})
        refused = client.options(path, headers=preflight)

    assert "access-control-allow-origin" in asked.headers
    assert (allowed.status_code, "authorization" in allowed.headers["access-control-allow-headers"]) == (200, True)
    assert admin.status_code == 200
    assert refused.status_code == 405
    for reply in (admin, refused):
        assert not [name for name in reply.headers if name.startswith("access-control")]


def test_tokens_are_in_no_log(own: TestClient, capsys: pytest.CaptureFixture[str], caplog: object) -> None:
    """This ensures that neither a token nor its hash is logged or sent back, whatever happens to the request."""
    caplog.set_level(logging.DEBUG)
    texts = []
    for token in (ADMIN.token, READ.token, EXPIRED.token, "wrong-secret-0123"):
        for method, path in (*ROUTES[4:6], READING[0], ("GET", "/v1/nothing"), ("PATCH", "/v1/admin/builds")):
            reply = own.request(method, path, headers=bearer(token))
            texts.append(reply.text + str(reply.headers))

    captured = capsys.readouterr()
    said = "".join(texts) + captured.out + captured.err + caplog.text
    for made in (ADMIN, READ, EXPIRED):
        assert made.token not in said
        assert made.setting.partition("@")[0] not in said
    assert "wrong-secret-0123" not in said


def test_security_is_in_the_document(client: TestClient) -> None:
    """This ensures that a program reads from the document which routes need which token."""
    document = client.get("/openapi.json").json()

    assert set(document["components"]["securitySchemes"]) == {"adminToken", "readToken"}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            expected = [{"adminToken": []}] if path.startswith("/v1/admin/") else [{"readToken": []}]
            is_open = path.startswith("/v1/health")
            assert operation.get("security", []) == ([] if is_open else expected)
            assert ("401" in operation["responses"]) is not is_open


def test_guard_is_in_front_of_every_route(tmp_path: Path) -> None:
    """This ensures that a route that somebody adds later is closed too, unless it is listed as open."""
    with admin_client(tmp_path) as client:

        @client.app.get("/v1/later")
        def get_later() -> dict[str, str]:
            return {"said": "something"}

        @client.app.get("/v1/admin/later")
        def get_admin_later() -> dict[str, str]:
            return {"said": "something"}

        closed = [client.get(path).status_code for path in ("/v1/later", "/v1/admin/later")]
        read = [client.get(p, headers=bearer(READ.token)).status_code for p in ("/v1/later", "/v1/admin/later")]

    assert (closed, read) == ([401, 401], [200, 403])


def test_settings_are_not_in_the_health_answer(client: TestClient) -> None:
    """This ensures that no hash is in what everybody may read."""
    settings = Settings(admin_tokens=(ADMIN.setting,))
    text = client.get("/v1/health").text + client.get("/openapi.json").text + client.get("/admin").text

    assert settings.admin_tokens[0][:16] not in text


def test_clock_that_is_set_back_opens_nothing() -> None:
    """This ensures that a token that has expired stays so while the process runs, and a good one good."""
    ends = new_token(TODAY)
    guard_day = TODAY
    settings = Settings(admin_tokens=(ends.setting, ADMIN.setting))
    check = guard.make_guard(settings, lambda: guard_day)

    def outcome(token: str) -> str:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/admin/builds",
            "headers": [(b"authorization", f"Bearer {token}".encode())],
            "query_string": b"",
            "server": ("x", 80),
            "scheme": "http",
        }
        try:
            anyio.run(check, Request(scope))
        except TokenExpired:
            return "expired"
        return "open"

    told = []
    for days in (0, 1, -30, 1):
        guard_day = TODAY + timedelta(days=days)
        told.append((outcome(ends.token), outcome(ADMIN.token)))

    assert told == [("open", "open"), ("expired", "open"), ("expired", "open"), ("expired", "open")]
