"""The admin routes: who may, what is stored, what is refused, and that nothing else changes."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from admin_support import ADMIN, EXPIRED, READ, SECOND_ADMIN, ZEBRA, admin_client, bearer, waiting_process
from service_support import PROBLEM_MEMBERS, tiny_client
from starlette.testclient import TestClient

from index.store import IndexDir
from service import builds, guard
from service.settings import Settings

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


def code_of(response: object) -> str:
    body = response.json()
    assert set(body) == PROBLEM_MEMBERS
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    return str(body["code"])


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
    script = (Path(guard.__file__).parent / "web" / "admin.js").read_text()

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


@pytest.mark.parametrize("path", ["/v1/admin/documents", "/v1/admin/builds", "/admin"])
def test_no_other_site_reaches_admin_routes(tmp_path: Path, path: str) -> None:
    """This ensures that cors_origins opens asking and reading, and never administering, preflight or not."""
    origin = {"origin": "https://example.org"}
    preflight = {**origin, "access-control-request-method": "GET", "access-control-request-headers": "authorization"}
    with admin_client(tmp_path, cors_origins=("https://example.org", "*")) as client:
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


def test_upload_list_and_delete(own: TestClient, tmp_path: Path) -> None:
    """This ensures that a document is stored as sent, listed with what the reader makes of it, and deleted."""
    stored = own.put("/v1/admin/documents/guides/new/zebra.md", content=ZEBRA)
    etag = stored.headers["etag"]
    listed = own.get("/v1/admin/documents", params={"q": "ZEBRA"}).json()
    again = own.put("/v1/admin/documents/guides/new/zebra.md", content=ZEBRA + b"\nMore.\n", headers={"if-match": etag})
    late = own.put("/v1/admin/documents/guides/new/zebra.md", content=b"# Late\n", headers={"if-match": etag})
    new_only = own.put("/v1/admin/documents/guides/new/zebra.md", content=ZEBRA, headers={"if-none-match": "*"})
    kept = (tmp_path / "corpus/guides/new/zebra.md").read_bytes()
    stale = own.delete("/v1/admin/documents/guides/new/zebra.md", headers={"if-match": etag})
    deleted = own.delete("/v1/admin/documents/guides/new/zebra.md", headers={"if-match": again.headers["etag"]})
    gone = own.delete("/v1/admin/documents/guides/new/zebra.md")

    assert (stored.status_code, stored.headers["location"]) == (201, "/v1/admin/documents/guides/new/zebra.md")
    read = stored.json()["read"]
    assert (read["readable"], read["n_passages"], read["metadata"]["title"]) == (True, 1, "Zebra clinic")
    assert {finding["field"] for finding in read["findings"]} >= {"publisher", "published"}
    assert [(d["id"], d["state"], f'"{d["sha256"]}"') for d in listed["documents"]] == [
        ("guides/new/zebra.md", "new", etag)
    ]
    assert listed["documents"][0]["read"] == read
    assert (again.status_code, again.json()["created"]) == (200, False)
    assert [(r.status_code, code_of(r)) for r in (late, new_only, stale)] == [(412, "precondition_failed")] * 3
    assert kept == ZEBRA + b"\nMore.\n"
    assert deleted.status_code == 204
    assert (gone.status_code, code_of(gone)) == (404, "not_found")
    assert not (tmp_path / "corpus/guides/new").exists()


def test_list_compares_folder_and_index(own: TestClient, tmp_path: Path) -> None:
    """This ensures that an editor sees what the next build adds, changes and withdraws, and what can't be opened."""
    (tmp_path / "corpus" / "loop.md").symlink_to("loop.md")
    (tmp_path / "corpus" / "notes.xlsx").write_text("x")

    page = own.get("/v1/admin/documents", params={"limit": 500}).json()

    states = {document["id"]: document["state"] for document in page["documents"]}
    assert states["methadone.md"] == "new"
    assert states["guides/naloxone.md"] == "changed"
    assert states["papers/withdrawal.pdf"] == "removed"
    assert states["loop.md"] == "failed"
    assert page["ignored"] == ["notes.xlsx"]
    assert sum(page["changes"].values()) == page["total"] == len(states)
    assert own.get("/v1/admin/documents", params={"state": "failed"}).json()["total"] == 1


BAD = {
    "program": ("x.pdf", b"MZ\x90\x00 program", 422, "source_malformed"),
    "no reader": ("x.exe", b"MZ", 415, "source_unsupported"),
    "broken": ("x.pdf", b"%PDF-1.7 and no more", 422, "source_malformed"),
    "other zip": ("x.docx", b"PK\x03\x04 and no more", 422, "source_malformed"),
    "nothing to quote": ("x.md", b"# Only a heading\n", 422, "source_without_text"),
    "empty": ("x.md", b"", 422, "source_malformed"),
    "too large": ("x.md", b"x" * 2_000_000, 413, "body_too_large"),
    "twin": ("Methadone.md", ZEBRA, 409, "name_taken"),
    "in a file": ("methadone.md/x.md", ZEBRA, 409, "name_taken"),
    "out": ("..%2F..%2Fx.md", ZEBRA, 422, "name_refused"),
    "nul": ("x%00.md", ZEBRA, 422, "name_refused"),
    "no utf-8": ("x%ff.md", ZEBRA, 422, "name_refused"),
    "long": ("x" * 400 + ".md", ZEBRA, 422, "name_refused"),
    "look-alike": ("n%D0%B0loxone.md", ZEBRA, 422, "name_refused"),
    "reserved": ("con.md", ZEBRA, 422, "name_refused"),
    "no name": ("", ZEBRA, 422, "name_refused"),
}


@pytest.mark.parametrize(("name", "content", "status", "code"), BAD.values(), ids=BAD.keys())
def test_bad_uploads_leave_nothing(tmp_path: Path, name: str, content: bytes, status: int, code: str) -> None:
    """This ensures that what is refused is refused with its reason, and the folder is as it was."""
    with admin_client(tmp_path, max_upload_bytes=1_000_000) as client:
        before = {p: p.read_bytes() for p in (tmp_path / "corpus").rglob("*") if p.is_file()}
        reply = client.put(f"/v1/admin/documents/{name}", content=content, headers=bearer(ADMIN.token))

    assert (reply.status_code, code_of(reply)) == (status, code)
    assert {p: p.read_bytes() for p in (tmp_path / "corpus").rglob("*") if p.is_file()} == before
    assert str(tmp_path) not in reply.text


def test_body_without_a_length_is_cut_off(own: TestClient, tmp_path: Path) -> None:
    """This ensures that the cap holds for what arrives, not for what is declared."""
    with admin_client(tmp_path / "small", max_upload_bytes=1_024) as client:
        reply = client.put("/v1/admin/documents/x.md", content=iter([b"x" * 600] * 3), headers=bearer(ADMIN.token))

    assert (reply.status_code, code_of(reply)) == (413, "body_too_large")


def test_compressed_bodies_are_refused(own: TestClient) -> None:
    """This ensures that a document is stored as the bytes that were sent, never as a compressed form of them."""
    reply = own.put("/v1/admin/documents/x.md", content=ZEBRA, headers={"content-encoding": "gzip"})

    assert (reply.status_code, code_of(reply)) == (415, "media_type_unsupported")


def test_malformed_library_file_is_named(own: TestClient, tmp_path: Path) -> None:
    """This ensures that a broken library.toml is said with its line, and nothing is stored."""
    (tmp_path / "corpus" / "library.toml").write_text("x = [")

    for reply in (own.put("/v1/admin/documents/x.md", content=ZEBRA), own.get("/v1/admin/documents")):
        assert (reply.status_code, code_of(reply)) == (422, "library_malformed")
    assert not (tmp_path / "corpus" / "x.md").exists()


def test_first_document_of_an_empty_library(tmp_path: Path) -> None:
    """This ensures that a library can be begun from a browser: no document, no index."""
    (tmp_path / "empty").mkdir()
    with admin_client(tmp_path, is_built=False, corpus=tmp_path / "empty") as client:
        client.headers.update(bearer(ADMIN.token))
        listed = client.get("/v1/admin/documents")
        stored = client.put("/v1/admin/documents/x.md", content=ZEBRA)
        snapshots = client.get("/v1/admin/snapshots").json()["snapshots"]

    assert (listed.status_code, listed.json()["total"]) == (200, 0)
    assert stored.status_code == 201
    assert snapshots == []


def test_build_is_accepted_followed_and_cancelled(own: TestClient) -> None:
    """This ensures that a build has an address at once, that a second one is told of it, and that it can be stopped."""
    started = own.post("/v1/admin/builds", json={"refuse_failures": True})
    second = own.post("/v1/admin/builds")
    address = started.headers["location"]
    found = own.get(address).json()
    cancelled = own.delete(address)
    listed = own.get("/v1/admin/builds").json()["builds"]

    assert started.status_code == 202
    assert (found["state"], found["options"]) == ("queued", {"refuse_failures": True})
    assert (second.status_code, code_of(second)) == (409, "writer_busy")
    assert found["id"] in second.json()["detail"]
    assert cancelled.status_code == 202
    assert [build["id"] for build in listed] == [found["id"]]


def test_build_waits_for_the_command_line(own: TestClient, tmp_path: Path) -> None:
    """This ensures that a build on the command line is named, and rolling back meanwhile is refused as well."""
    (snapshot,) = own.get("/v1/admin/snapshots").json()["snapshots"]
    with IndexDir(tmp_path / "index").lock():
        replies = [
            own.post("/v1/admin/builds"),
            own.post("/v1/admin/rollback", json={"snapshot": snapshot["id"]}),
        ]

    for reply in replies:
        assert (reply.status_code, code_of(reply)) == (409, "writer_busy")
        assert "process" in reply.json()["detail"]


def test_events_resume_and_end(own: TestClient, tmp_path: Path) -> None:
    """This ensures that events have ids, that a follower resumes after the last one, and hears the end."""
    record, lock = builds.JobBook(tmp_path / "index").begin({})
    book = builds.JobBook(tmp_path / "index")
    book.change(book.change(record, state="running", phase="read"), state="succeeded", report={"n_documents": 1})
    builds.os.close(lock)

    replies = [own.get(f"/v1/admin/builds/{record.id}/events", headers={"last-event-id": i}) for i in ("", "2", "99")]

    for reply in replies:
        lines = reply.text.splitlines()
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert lines[:2] == ["id: 3", "event: end"]
        assert json.loads(lines[2].removeprefix("data: "))["report"] == {"n_documents": 1}
    wrong = own.get(f"/v1/admin/builds/{record.id}/events", headers={"last-event-id": "x"})
    assert (wrong.status_code, code_of(wrong)) == (422, "request_invalid")


def test_going_back_and_what_can_not_be_gone_back_to(own: TestClient, tmp_path: Path) -> None:
    """This ensures that going back proves the snapshot first: gone is 404, other format or damage 409, live stays."""
    index_dir = IndexDir(tmp_path / "index")
    old = index_dir.current_id()
    from index.testing import tiny_documents, write_tiny_snapshot

    foreign = write_tiny_snapshot(index_dir, tiny_documents()[:1])
    damaged = write_tiny_snapshot(index_dir, tiny_documents()[:2])
    manifest = index_dir.snapshot_path(foreign) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format_version": 1', '"format_version": 999'))
    assert "999" in manifest.read_text()
    with (index_dir.snapshot_path(damaged) / "dense.faiss").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff" if file.read(1) != b"\xff" else b"\x00")

    def go(snapshot: object) -> object:
        return own.post("/v1/admin/rollback", json={"snapshot": snapshot})

    refused = {"20200101T000000Z-00000000": (404, "snapshot_gone"), "x": (404, "snapshot_gone")}
    refused |= {foreign: (409, "snapshot_unusable")}
    for snapshot, expected in refused.items():
        reply = go(snapshot)
        assert (reply.status_code, code_of(reply)) == expected
        assert str(tmp_path) not in reply.text
    assert index_dir.current_id() == damaged
    done = go(old)

    assert (done.status_code, done.json()) == (200, {"current": old, "previous": damaged})
    assert index_dir.current_id() == old
    assert code_of(go(damaged)) == "snapshot_unusable"
    assert index_dir.current_id() == old
    assert {s["id"]: s["problem"] != "" for s in own.get("/v1/admin/snapshots").json()["snapshots"]}[foreign]


@pytest.mark.parametrize("body", ["", "{", "[]", '{"snapshot": 1}', '{"snapshot": "x", "other": 1}', "{}"])
def test_malformed_bodies_are_refused(client: TestClient, body: str) -> None:
    """This ensures that a body that does not fit is refused with the field, and changes nothing."""
    headers = {**bearer(ADMIN.token), "content-type": "application/json"}

    reply = client.post("/v1/admin/rollback", content=body, headers=headers)

    assert (reply.status_code, code_of(reply)) == (422, "request_invalid")


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
