"""Every route: what it sends when all is well, and the one shape of its errors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from service_support import PROBLEM_MEMBERS, tiny_client
from starlette.testclient import TestClient

from index.model import Filters
from index.store import IndexDir
from index.testing import tiny_document, tiny_documents, tiny_passages, write_tiny_snapshot
from service.errors import CitationMismatch

DOCUMENT = "guides/methadone.md"
ROUTES = [
    ("GET", "/v1/documents"),
    ("GET", f"/v1/documents/{DOCUMENT}"),
    ("GET", f"/v1/documents/{DOCUMENT}/text"),
    ("GET", "/v1/passages/0123456789abcdef0123"),
    ("POST", "/v1/ask"),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Serve the tiny library to all tests of the module."""
    with tiny_client(tmp_path_factory.mktemp("served")) as client:
        yield client


def assert_problem(response: object, status: int, code: str) -> dict[str, object]:
    """Hold a response against the one shape of errors and return its members."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == PROBLEM_MEMBERS
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"] == response.headers["x-request-id"]
    assert problem["title"]
    assert problem["detail"]
    assert problem["fix"]
    return problem


def test_answer_quotes_and_cites(client: TestClient) -> None:
    """This ensures that an answer's quotes are in the served texts, at their offsets and with their hash."""
    answer = client.post("/v1/ask", json={"question": "How often is methadone taken?", "top_k": 3}).json()

    assert answer["answered"]
    for passage in answer["passages"]:
        text = client.get(f"/v1/documents/{quote(passage['document']['id'])}/text").text
        assert text[passage["start"] : passage["end"]] == passage["text"]
        assert hashlib.sha256(text.encode()).hexdigest() == passage["proof"]["text_sha256"]


def test_answers_are_not_stored_by_anybody(client: TestClient) -> None:
    """This ensures that no cache on the way keeps an answer."""
    assert client.post("/v1/ask", json={"question": "methadone"}).headers["cache-control"] == "no-store"


def test_abstention_is_an_answer(tmp_path: Path) -> None:
    """This ensures that not knowing has status 200, a reason, no passages, and the nearest apart."""
    with tiny_client(tmp_path, min_confidence=1.0) as client:
        answer = client.post("/v1/ask", json={"question": "qwertz"}).json()

    assert (answer["answered"], answer["passages"]) == (False, [])
    assert answer["reason"]
    assert answer["nearest"]


def test_filters_restrict(client: TestClient) -> None:
    """This ensures that a filter leaves only the documents it names."""
    body = {"question": "methadone", "filters": {"source_type": ["news"]}}

    answer = client.post("/v1/ask", json=body).json()

    assert {p["document"]["source_type"] for p in answer["passages"]} == {"news"}


def test_documents_come_a_page_at_a_time(client: TestClient) -> None:
    """This ensures that following `next` shows every document once, in order."""
    address, seen = "/v1/documents?limit=3", []
    while address:
        page = client.get(address).json()
        seen += [document["id"] for document in page["documents"]]
        address = page["next"]

    assert seen == sorted(document.id for document, _ in tiny_documents())
    assert page["total"] == len(seen)


def test_documents_can_be_filtered_and_next_keeps_the_filter(client: TestClient) -> None:
    """This ensures that filters hold on every page of the list."""
    page = client.get("/v1/documents", params={"tag": "opioids", "limit": 1}).json()
    following = client.get(page["next"]).json()

    assert page["total"] == 2
    assert [d["id"] for d in page["documents"] + following["documents"]] == [DOCUMENT, "papers/withdrawal.pdf"]
    assert following["next"] is None


def test_document_is_described(client: TestClient) -> None:
    """This ensures that a document's page says where it comes from and what it rests on."""
    document = client.get(f"/v1/documents/{DOCUMENT}").json()

    assert document["publisher"] == "Example Health Service"
    assert document["sources"][0]["title"] == "A trial"
    assert client.get(document["text_path"]).status_code == 200


def test_text_is_served_byte_for_byte(client: TestClient) -> None:
    """This ensures that the bytes sent are those whose SHA-256 is in every proof."""
    response = client.get("/v1/documents/guides/naloxone.md/text")

    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert hashlib.sha256(response.content).hexdigest() == response.headers["x-text-sha256"]
    assert response.headers["etag"] == f'"{response.headers["x-text-sha256"]}"'
    assert "😀" in response.text


def test_passage_stands_alone_and_in_its_surroundings(client: TestClient) -> None:
    """This ensures that what stands around a passage is sent apart from it and joins up with it in the text."""
    found = client.post("/v1/ask", json={"question": "who suits heroin every day"}).json()["passages"]
    passage = next(p for p in found if p["text"].startswith("People"))
    text = client.get(f"/v1/documents/{DOCUMENT}/text").text

    alone = client.get(f"/v1/passages/{passage['id']}").json()
    placed = client.get(f"/v1/passages/{passage['id']}?context=1").json()

    assert alone["context"] is None
    assert placed["text"] == passage["text"]
    assert placed["context"]["before"] + placed["text"] + placed["context"]["after"] in text
    assert "Who it suits" in placed["context"]["before"]
    assert placed["proof"] == passage["proof"]


def test_identifiers_with_odd_characters_are_found(tmp_path: Path) -> None:
    """This ensures that spaces, percent signs, question marks and other scripts survive in addresses."""
    name = "a b/100%/Ärzte?#é.md"
    document = tiny_document(name, "Odd", {"Part": ["Methadone is here."]})

    with tiny_client(tmp_path, ((document, tiny_passages(document)),)) as client:
        listed = client.get("/v1/documents").json()["documents"][0]
        permalink = client.post("/v1/ask", json={"question": "methadone"}).json()["passages"][0]["citation"][
            "permalink"
        ]
        reader = client.get(permalink).headers["location"]

        assert client.get(listed["text_path"]).text == document.text
        assert client.get(f"/v1/documents/{quote(name)}").json()["id"] == name
        assert client.get(reader.partition("#")[0]).status_code == 200


@pytest.mark.parametrize("path", ["/v1/documents", f"/v1/documents/{DOCUMENT}", f"/v1/documents/{DOCUMENT}/text"])
def test_unchanged_is_not_sent_again(client: TestClient, path: str) -> None:
    """This ensures that a client with the current ETag gets 304 and no body."""
    tag = client.get(path).headers["etag"]

    unchanged = client.get(path, headers={"if-none-match": f'"other", W/{tag}'})
    changed = client.get(path, headers={"if-none-match": '"other"'})

    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag)
    assert changed.status_code == 200


def test_metadata_names_its_snapshot_in_the_etag(client: TestClient) -> None:
    """This ensures that a new snapshot makes every kept copy stale."""
    snapshot = client.get("/v1/health").json()["snapshot"]["id"]

    assert client.get("/v1/documents").headers["etag"].startswith(f'"{snapshot}.')


def test_health_says_what_is_served(client: TestClient) -> None:
    """This ensures that a ready service names snapshot, counts and model."""
    response = client.get("/v1/health")

    health = response.json()
    assert response.status_code == 200
    assert (health["live"], health["ready"], health["last_reload_error"]) == (True, True, None)
    # The shipped calibration is for the default model, and these vectors are not its; no lexicon lies in this folder.
    # One of the tiny documents is in Spanish.
    known = ("not calibrated", "no lexicon", "in the language es")
    assert [w for w in health["warnings"] if not any(part in w for part in known)] == []
    assert (health["snapshot"]["documents"], health["snapshot"]["model"]) == (4, "hashing")
    assert (health["snapshot"]["dense"]["index"], health["snapshot"]["dense"]["recall_at_10"]) == ("exact", 1.0)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nothing_built_yet_is_said_by_every_route(tmp_path: Path, method: str, path: str) -> None:
    """This ensures that without an index every route says so, with what to do."""
    with tiny_client(tmp_path, is_built=False) as client:
        problem = assert_problem(
            client.request(method, path, json={"question": "x"} if method == "POST" else None), 503, "no_snapshot"
        )

    assert "citewell build" in problem["fix"]


def test_health_without_an_index_is_alive_and_not_ready(tmp_path: Path) -> None:
    """This ensures that a balancer sees 503 while a process manager sees 200."""
    with tiny_client(tmp_path, is_built=False) as client:
        ready, live = client.get("/v1/health"), client.get("/v1/health/live")

    assert (ready.status_code, live.status_code) == (503, 200)
    assert ready.json() == live.json()
    assert (ready.json()["live"], ready.json()["ready"]) == (True, False)
    assert "citewell build" in ready.json()["warnings"][0]


def test_index_that_appears_later_is_served_without_restart(tmp_path: Path) -> None:
    """This ensures that the process notices a first build and a second one."""
    with tiny_client(tmp_path, is_built=False, refresh_s=0.05) as client:
        before = client.get("/v1/health").status_code
        first = write_tiny_snapshot(IndexDir(tmp_path / "index"))
        _wait_for(client, first)
        second = write_tiny_snapshot(IndexDir(tmp_path / "index"), tiny_documents()[:1])
        _wait_for(client, second)

        assert before == 503
        assert client.get("/v1/documents").json()["total"] == 1


def test_failed_reload_keeps_the_old_snapshot_and_is_shown(tmp_path: Path) -> None:
    """This ensures that a damaged new snapshot changes nothing but the health answer."""
    with tiny_client(tmp_path, refresh_s=0.05) as client:
        old = client.get("/v1/health").json()["snapshot"]["id"]
        index_dir = IndexDir(tmp_path / "index")
        with index_dir.lock():
            (index_dir.path / "CURRENT").write_text("20990101T000000Z-0123abcd\n")
        health = _poll(client, lambda h: h["last_reload_error"])

        assert (health["ready"], health["snapshot"]["id"]) == (True, old)
        assert health["warnings"]
        assert client.post("/v1/ask", json={"question": "methadone"}).json()["answered"]


def _wait_for(client: TestClient, snapshot_id: str) -> None:
    _poll(client, lambda health: health["snapshot"] and health["snapshot"]["id"] == snapshot_id)


def _poll(client: TestClient, holds: object) -> dict[str, object]:
    for _ in range(2_000):
        health = client.get("/v1/health").json()
        if holds(health):
            return health
    raise AssertionError(health)


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/v1", "/v1/", "/v1/documents/absent.md", "/v1/documents/absent.md/text", "/v1/passages/absent"],
)
def test_absent_is_not_found(client: TestClient, path: str) -> None:
    """This ensures that what is not there is 404 in the one shape, and not repeated."""
    problem = assert_problem(client.get(path), 404, "not_found")

    assert "absent" not in str(problem)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/ask", "POST"),
        ("DELETE", "/v1/documents", "GET, HEAD"),
        ("PUT", "/", "GET, HEAD, POST"),
        ("PATCH", "/openapi.json", "GET, HEAD"),
        ("POST", "/v1/health", "GET, HEAD"),
    ],
)
def test_wrong_method_names_the_right_ones(client: TestClient, method: str, path: str, allowed: str) -> None:
    """This ensures that a wrong method is 405 in the one shape, with Allow over all routes of the address."""
    response = client.request(method, path)

    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=0", "limit must be at least 1"),
        ("limit=501", "limit must be at most 500"),
        ("limit=abc", "limit must be a whole number"),
        ("offset=-1", "offset must be at least 0"),
        ("source_type=nobody", "source_type.0 must be one of"),
        ("colour=red", "(unknown) there is no such field"),
        ("limit=1" + "0" * 5_000, "limit"),
    ],
)
def test_wrong_parameter_is_named(client: TestClient, query: str, expected: str) -> None:
    """This ensures that a wrong or unknown parameter is 422 with the names that exist."""
    problem = assert_problem(client.get(f"/v1/documents?{query}"), 422, "request_invalid")

    assert expected in problem["detail"]
    assert "limit, offset, source_type, tag, language" in problem["fix"]


def test_head_is_get_without_a_body(client: TestClient) -> None:
    """This ensures that a monitor may use HEAD on every address."""
    get, head = client.get("/v1/documents"), client.head("/v1/documents")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert client.head("/v1/passages/absent").status_code == 404


def test_every_response_has_its_security_headers(client: TestClient) -> None:
    """This ensures that success, error and page alike carry them, and none sets a cookie."""
    for path in ("/v1/health", "/nowhere", "/", "/static/citewell.css", "/openapi.json"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer", path
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "set-cookie" not in headers, path
        assert "server" not in headers, path


def test_request_id_is_taken_over_only_in_its_form(client: TestClient) -> None:
    """This ensures that a caller can follow its request, and can't write what it likes into the log."""
    good = client.get("/v1/health", headers={"x-request-id": "abc-12345"}).headers["x-request-id"]
    bad = [
        client.get("/v1/health", headers={"x-request-id": given}).headers["x-request-id"]
        for given in ("short", "x" * 65, "with space 123", "<script>alert</script>")
    ]

    assert good == "abc-12345"
    assert all(len(given) == 32 and given.isalnum() for given in bad)


def test_other_sites_are_kept_out_unless_listed(tmp_path: Path) -> None:
    """This ensures that no CORS header is sent by default, and to a listed origin alone otherwise."""
    with tiny_client(tmp_path / "closed") as client:
        closed = client.get("/v1/health", headers={"origin": "https://a.example"})
    with tiny_client(tmp_path / "open", cors_origins=["https://a.example"]) as client:
        listed = client.get("/v1/health", headers={"origin": "https://a.example"})
        other = client.get("/v1/health", headers={"origin": "https://b.example"})
        asks = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
        preflight = client.options("/v1/ask", headers={"origin": "https://a.example", **asks})
        refused = client.options("/v1/ask", headers={"origin": "https://b.example", **asks})

    assert "access-control-allow-origin" not in closed.headers
    assert listed.headers["access-control-allow-origin"] == "https://a.example"
    assert "access-control-allow-origin" not in other.headers
    assert preflight.status_code == 200
    assert_problem(refused, 400, "cors_refused")


def test_quote_that_is_not_in_its_document_is_never_sent(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a mismatch is a 500 problem and not a wrong quote."""

    def mismatch(*_: object, **__: object) -> None:
        raise CitationMismatch("a stored passage differs", where="guides/methadone.md", fix="run `citewell verify`")

    monkeypatch.setattr("service.runtime.answer_question", mismatch)

    assert_problem(client.post("/v1/ask", json={"question": "x"}), 500, "citation_mismatch")


def test_unforeseen_error_shows_an_id_and_nothing_else(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that the text of a crash stays inside."""

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("service.runtime.answer_question", crash)

    response = client.post("/v1/ask", json={"question": "x"})

    assert_problem(response, 500, "internal_error")
    assert "secret" not in response.text


def test_filters_of_the_list_are_those_of_the_index() -> None:
    """This ensures that the list of documents offers no filter under a name the index does not know."""
    assert {"source_type", "tags", "language"} <= set(Filters.__dataclass_fields__)
