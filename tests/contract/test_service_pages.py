"""The pages for people: what they show, what they never contain, and how they take bad links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from admin_support import ADMIN
from page_outline import outline
from service_support import abstention_of, answer_of, tiny_client
from starlette.testclient import TestClient

from index.testing import tiny_document, tiny_documents, tiny_passages

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Serve the tiny library to all tests of the module."""
    with tiny_client(tmp_path_factory.mktemp("served")) as client:
        yield client


def test_search_page_has_a_labelled_field_that_posts(client: TestClient) -> None:
    """This ensures that a question can be asked without a script and never lands in an address."""
    page = outline(client.get("/", headers=BROWSER).text)

    (form,) = [attributes for tag, attributes in page.tags if tag == "form"]
    (field,) = [attributes for tag, attributes in page.tags if tag == "textarea"]
    assert (form["method"], form["action"]) == ("post", "/#answer")
    assert any(tag == "label" and attributes.get("for") == field["id"] for tag, attributes in page.tags)
    assert (field["autocomplete"], field["spellcheck"]) == ("off", "false")


@pytest.mark.parametrize("path", ["/", "/documents"])
def test_page_loads_nothing_from_elsewhere_and_runs_nothing(client: TestClient, path: str) -> None:
    """This ensures that pages need no script, no inline style and no other host, and that the browser is told so."""
    response = client.get(path, headers=BROWSER)

    page = outline(response.text)
    loaded = [a.get("src") or a.get("href") for tag, a in page.tags if tag in ("link", "script", "img", "iframe")]
    policy = response.headers["content-security-policy"]
    assert all(address and address.startswith("/static/") for address in loaded)
    assert not any(tag in ("script", "style") or "style" in a for tag, a in page.tags)
    assert not any(name.startswith("on") for _, a in page.tags for name in a)
    assert "default-src 'none'" in policy
    assert "style-src 'self'" in policy
    assert "form-action 'self'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    for address in loaded:
        assert client.get(str(address)).status_code == 200


def test_answer_marks_evidence_and_leads_to_its_source(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a passage is shown whole, its evidence marked, with its source and both links."""
    monkeypatch.setattr("service.runtime.answer_question", lambda _question, snapshot, *_, **__: answer_of(snapshot))

    response = client.post("/", data={"question": "what is it?"})

    page = outline(response.text)
    quote = "Methadone is a long-acting opioid. It is taken once a day."
    assert response.headers["cache-control"] == "no-store"
    assert "Methadone is a long-acting opioid." in page.text_of("mark")
    assert quote in page.text_of("mark")[: len("Methadone is a long-acting opioid.")] + page.text_of("blockquote")
    assert "Example Health Service" in page.text_of("dd")
    assert "17 May 2019" in page.text_of("time")
    assert "Its review is overdue" in page.text_of("li")
    links = [a["href"] for tag, a in page.tags if tag == "a"]
    assert any(href.startswith("https://example.org/methadone#") for href in links)
    assert any(href.startswith("/c/") for href in links)


def test_question_is_not_in_the_title(client: TestClient) -> None:
    """This ensures that a browser's history does not show what was asked."""
    page = client.post("/", data={"question": "canary methadone"}).text

    assert "canary" not in re.search("<title>(.*)</title>", page)[1]


def test_abstention_sets_the_nearest_apart(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that what is close is announced as no answer, after a notice and after the abstention."""
    monkeypatch.setattr(
        "service.runtime.answer_question", lambda _question, snapshot, *_, **__: abstention_of(snapshot)
    )

    html = client.post("/", data={"question": "x"}).text

    outline(html)
    order = [
        html.index(words)
        for words in ("Call now", "tel:112", "This library does not speak about that", "Not an answer", "blockquote")
    ]
    assert order == sorted(order)


def test_error_on_the_page_is_for_people(client: TestClient) -> None:
    """This ensures that a browser gets a page with the error, its remedy and its id, and a program gets JSON."""
    person = client.post("/", data={"question": "?!"}, headers=BROWSER)
    program = client.post("/", data={"question": "?!"})

    page = outline(person.text)
    assert (person.status_code, program.status_code) == (422, 422)
    assert program.headers["content-type"] == "application/problem+json"
    assert person.headers["vary"] == program.headers["vary"] == "Accept"
    assert "There is no question" in page.text_of("h2")
    assert person.headers["x-request-id"] in page.text_of("code")
    assert any(tag == "form" for tag, _ in page.tags)


def test_page_without_an_index_says_how_to_build_one(tmp_path: Path) -> None:
    """This ensures that an operator who opens the page first learns what is missing."""
    with tiny_client(tmp_path, is_built=False) as client:
        response = client.get("/", headers=BROWSER)

    assert response.status_code == 503
    assert "citewell build" in outline(response.text).text_of("code")


@pytest.mark.parametrize("path", ["/", "/documents", "/documents/guides/methadone.md", "/embed", "/nowhere"])
def test_public_pages_do_not_lead_to_administering(tmp_path: Path, path: str) -> None:
    """This ensures that visitors are shown no door that is not theirs, where administering is switched on."""
    with tiny_client(tmp_path, admin_tokens=(ADMIN.setting,)) as client:
        page = client.get(path, headers=BROWSER)

    assert page.status_code in (200, 404)
    assert "admin" not in page.text.lower()


@pytest.mark.parametrize("path", ["/c/absent", "/documents/absent.md", "/nowhere"])
def test_absent_page_is_a_polite_404(client: TestClient, path: str) -> None:
    """This ensures that a dead link gives a page with a way on, not JSON."""
    response = client.get(path, headers=BROWSER)

    assert response.status_code == 404
    assert "Not found" in outline(response.text).text_of("h1")
    assert "See the library" in outline(response.text).text_of("a")
    assert "absent" not in response.text


def test_permalink_leads_to_the_passage_in_its_document(client: TestClient) -> None:
    """This ensures that /c/<id> redirects to the reader, where that passage is marked under its anchor."""
    passage = tiny_documents()[0][1][0]

    redirect = client.get(f"/c/{passage.id}")
    target, _, anchor = redirect.headers["location"].partition("#")
    html = client.get(target).text

    assert redirect.status_code == 302
    assert anchor == f"p-{passage.id}"
    assert f'<mark id="{anchor}">{passage.text}</mark>' in html
    assert html.index("mentions injecting") < html.index("<article")


def test_hostile_document_is_only_text(tmp_path: Path) -> None:
    """This ensures that markup in a document's text and metadata is shown and not obeyed, no bad link."""
    evil = '<script>alert(1)</script> "><img src=x onerror=alert(1)> methadone'
    document = tiny_document(
        "evil.md",
        evil,
        {evil: [evil]},
        publisher=evil,
        url="javascript:alert(1)",
        language='en" onclick="x',
        content_note=evil,
    )

    with tiny_client(tmp_path, ((document, tiny_passages(document)),)) as client:
        found = client.post("/", data={"question": evil})
        read = client.get("/documents/evil.md")

    for response in (found, read):
        page = outline(response.text)
        assert response.status_code == 200
        assert not any(tag == "img" for tag, _ in page.tags)
        assert all(a.get("type") == "application/ld+json" for tag, a in page.tags if tag == "script")
        assert not any(name.startswith("on") for _, a in page.tags for name in a)
        assert not any((a.get("href") or "").startswith("javascript") for _, a in page.tags)
    assert evil in outline(read.text).text_of("h1")


def test_style_sheet_covers_dark_narrow_and_paper() -> None:
    """This ensures that the sheet has rules for dark screens and print, and fetches nothing."""
    sheet = (Path(__file__).parents[2] / "service/web/citewell.css").read_text()

    assert "prefers-color-scheme: dark" in sheet
    assert "@media print" in sheet
    assert "url(" not in sheet
    assert "@import" not in sheet
