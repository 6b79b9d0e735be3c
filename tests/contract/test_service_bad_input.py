"""Hostile and broken requests: each is refused with the one shape, or answered; none is a 500 and none is repeated."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from service_support import PROBLEM_MEMBERS, tiny_client
from starlette.testclient import TestClient

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Serve the tiny library to all tests of the module."""
    with tiny_client(tmp_path_factory.mktemp("served")) as client:
        yield client


def assert_refused(response: object, status: int, code: str) -> str:
    """Hold a refusal against the one shape; return its detail."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem = response.json()
    # Where an error has a text, it may call for a notice; too little text can't be told from danger.
    assert set(problem) - {"notices"} == PROBLEM_MEMBERS
    assert (response.status_code, problem["code"]) == (status, code)
    return str(problem["detail"])


@pytest.mark.parametrize("question", ["", " \n\t ", "😀😀😀", "?!…", "\u200b\u200e"])
def test_question_without_a_word_is_empty(client: TestClient, question: str) -> None:
    """This ensures that nothing, white space, emoji and marks are told from a question."""
    assert_refused(client.post("/v1/ask", json={"question": question}), 422, "question_empty")


def test_question_over_the_cap_is_too_long(client: TestClient) -> None:
    """This ensures that 4,001 characters are refused with both numbers and 4,000 are answered."""
    detail = assert_refused(client.post("/v1/ask", json={"question": "a" * 4_001}), 422, "question_too_long")

    assert "4001" in detail
    assert "4000" in detail
    assert client.post("/v1/ask", json={"question": "a " * 2_000}).status_code == 200


def test_very_long_question_stops_at_the_body(client: TestClient) -> None:
    """This ensures that 100,000 characters are refused before they are parsed."""
    assert_refused(client.post("/v1/ask", json={"question": "a" * 100_000}), 413, "body_too_large")


@pytest.mark.parametrize("question", ["naloxone\x00", "\x1bnaloxone", "naloxone\x7f", "\x85naloxone"])
def test_control_characters_are_only_spaces(client: TestClient, question: str) -> None:
    """This ensures that what comes along with pasted text changes no answer and is not sent back."""
    clean = client.post("/v1/ask", json={"question": "naloxone"}).json()

    answer = client.post("/v1/ask", json={"question": question}).json()
    page = client.post("/", data={"question": question})

    assert answer["passages"] == clean["passages"]
    assert not set("\x00\x1b\x7f\x85") & set(page.text)


@pytest.mark.parametrize(
    "question",
    [
        "ما هو النالوكسون؟",
        "מה זה מתדון",
        "什么是美沙酮",
        "\u202emethadone",
        "'; DROP TABLE passages; --",
        '" OR 1=1 --',
        "<script>alert(1)</script>",
        "title:(methadone AND [* TO *]) ~^\\",
        "e\u0301" * 500,
        "{{ 7 * 7 }} {% raw %}",
        "9",
        "line\r\none\ttwo",
    ],
)
def test_odd_text_is_only_text(client: TestClient, question: str) -> None:
    """This ensures that other scripts, query syntax, SQL, HTML and templates are searched for as words."""
    assert client.post("/v1/ask", json={"question": question}).status_code == 200
    page = client.post("/", data={"question": question})
    assert page.status_code == 200
    assert "<script" not in page.text


@pytest.mark.parametrize("top_k", [0, -1, 21, 10**9, 10**400, "5", 5.5, True, None, [5]])
def test_top_k_out_of_its_range_is_refused(client: TestClient, top_k: object) -> None:
    """This ensures that only whole numbers from 1 to the operator's most are taken."""
    response = client.post("/v1/ask", content=json.dumps({"question": "x", "top_k": top_k}), headers=JSON)

    detail = assert_refused(response, 422, "request_invalid")
    assert "top_k" in detail


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"question",
        b"null",
        b'"text"',
        b"[]",
        b"[" * 60_000,
        b'{"question":' + b'{"a":' * 500 + b"1" + b"}" * 501,
        b'{"question": NaN}',
        b'{"question": "x", "top_k": NaN}',
        b'{"question": "x", "top_k": Infinity}',
        b'{"question": "x", "top_k": 1e999}',
        b'{"question": "x", "top_k": ' + b"9" * 5_000 + b"}",
        b'{"question": "\\ud800"}',
        b'{"question": "\\udc00\\ud800"}',
        b'{"\\ud800": 1, "question": "x"}',
        b'{"question": "\xff\xfe"}',
        b"\xef\xbb\xbf{}",
        '{"question": "x"}'.encode("utf-16"),
        b'{"question": "x",}',
        b"{'question': 'x'}",
        b'{"question": "a\x00b"}',
    ],
)
def test_body_that_is_not_the_json_asked_for_is_refused(client: TestClient, body: bytes) -> None:
    """This ensures that broken, deep, endless and half-coded JSON is 422 and nothing worse."""
    assert_refused(client.post("/v1/ask", content=body, headers=JSON), 422, "request_invalid")


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "a" * 5_000],
)
def test_other_content_types_are_refused(client: TestClient, content_type: str | None) -> None:
    """This ensures that a body of another kind is 415, also when it happens to be JSON."""
    headers = {} if content_type is None else {"content-type": content_type}

    assert_refused(client.post("/v1/ask", content=b'{"question": "x"}', headers=headers), 415, "media_type_unsupported")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=UTF-8", "Application/JSON", 'application/json;charset="utf-8"']
)
def test_json_in_utf8_may_say_so(client: TestClient, content_type: str) -> None:
    """This ensures that spelling out the charset changes nothing."""
    response = client.post("/v1/ask", content=b'{"question": "methadone"}', headers={"content-type": content_type})

    assert response.status_code == 200


def test_compressed_body_is_refused(client: TestClient) -> None:
    """This ensures that the cap can't be passed by compression."""
    response = client.post("/v1/ask", content=b"\x1f\x8b", headers={**JSON, "content-encoding": "gzip"})

    assert_refused(response, 415, "media_type_unsupported")


def test_declared_length_over_the_cap_is_refused(client: TestClient) -> None:
    """This ensures that a large Content-Length is refused, whatever then comes."""
    response = client.post("/v1/ask", content=b"{}", headers={**JSON, "content-length": "9" * 30})

    assert_refused(response, 413, "body_too_large")


def test_length_that_lies_is_found_out_while_reading(client: TestClient) -> None:
    """This ensures that the cap holds for what arrives, whatever was declared, also for a body without a length."""
    sent = []

    def endless() -> Iterator[bytes]:
        for _ in range(1_000):
            sent.append(1)
            yield b" " * 1_024

    undeclared = client.post("/v1/ask", content=endless(), headers=JSON)
    lying = client.post("/v1/ask", content=b" " * 70_000, headers={**JSON, "content-length": "10"})

    assert_refused(undeclared, 413, "body_too_large")
    assert_refused(lying, 413, "body_too_large")


@pytest.mark.parametrize(
    "filters",
    [
        {"colour": ["red"]},
        {"source_type": "news"},
        {"source_type": ["nobody"]},
        {"tags": [""]},
        {"tags": ["x" * 201]},
        {"language": 5},
        {"published_after": "01/02/2015"},
        {"published_after": "2015-02-30"},
        [],
        "news",
    ],
)
def test_unknown_and_malformed_filters_are_refused(client: TestClient, filters: object) -> None:
    """This ensures that a filter that does not exist is an error and not ignored."""
    response = client.post("/v1/ask", json={"question": "methadone", "filters": filters})

    detail = assert_refused(response, 422, "request_invalid")
    assert "filters" in detail
    assert "red" not in detail


def test_filters_that_match_nothing_are_an_abstention(client: TestClient) -> None:
    """This ensures that a well-formed filter for what is not there is answered as such."""
    answer = client.post("/v1/ask", json={"question": "methadone", "filters": {"tags": ["absent"]}}).json()

    assert (answer["answered"], answer["reason"]) == (False, "filters_match_nothing")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "question_empty"),
        (b"question=", 422, "question_empty"),
        (b"question=a&question=b", 422, "request_invalid"),
        (b"question=a&colour=red", 422, "request_invalid"),
        (b"question=%ff%fe", 422, "request_invalid"),
        (b"question=a&source_type=nobody", 422, "request_invalid"),
        (b"&".join([b"source_type=news"] * 51), 422, "request_invalid"),
        (b"question=" + b"%F0%9F%98%80" * 6_000, 413, "body_too_large"),
        (b"=&=;\xff", 422, "request_invalid"),
    ],
)
def test_broken_form_is_refused(client: TestClient, body: bytes, status: int, code: str) -> None:
    """This ensures that the page's form is read as strictly as JSON."""
    headers = {"content-type": "application/x-www-form-urlencoded"}

    assert_refused(client.post("/", content=body, headers=headers), status, code)


def test_form_with_files_is_refused(client: TestClient) -> None:
    """This ensures that a multipart form is another kind of body."""
    assert_refused(client.post("/", files={"question": b"x"}), 415, "media_type_unsupported")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/documents/" + "a" * 5_000,
        "/v1/documents/../../etc/passwd",
        "/v1/documents/%2e%2e%2f%2e%2e%2fetc%2fpasswd/text",
        "/v1/documents/%00",
        "/v1/documents/%ff%fe/text",
        "/v1/passages/%F0%9F%98%80",
        "/v1/passages/" + "9" * 5_000,
        "/c/%00",
        "/documents/%ff",
        "/static/../settings.py",
        "/static/templates/base.html",
    ],
)
def test_paths_that_lead_nowhere_are_not_found(client: TestClient, path: str) -> None:
    """This ensures that traversal, NUL, broken encodings and endless names are simply not there."""
    assert_refused(client.get(path), 404, "not_found")
