"""The list of documents and the reader: every word in its place, ways on, nothing that runs, nothing lost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from page_outline import outline
from service_support import tiny_client
from starlette.testclient import TestClient

from index.testing import tiny_document, tiny_documents, tiny_passages

BROWSER = {"accept": "text/html"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Serve the tiny library to all tests of the module."""
    with tiny_client(tmp_path_factory.mktemp("served")) as client:
        yield client


def test_reader_shows_every_block_in_order(client: TestClient) -> None:
    """This ensures that the article holds the words of every block, none changed and none twice."""
    document = tiny_documents()[0][0]

    html = client.get(f"/documents/{document.id}").text

    article = outline(html[html.index("<article") : html.index("</article>") + len("</article>")])
    shown = [text for tag, text in article.texts if tag in ("h2", "p", "li", "span", "mark") and text.strip()]
    assert [document.text[b.start : b.end] for b in document.blocks] == shown


def test_reader_puts_what_is_never_quoted_behind_a_summary(client: TestClient) -> None:
    """This ensures that navigation and teasers neither disturb reading nor disappear."""
    html = client.get("/documents/guides/methadone.md").text

    folded = html[html.index('<details class="left-out"') : html.index("</details>", html.index("left-out"))]
    assert "More like this: naloxone" in folded
    assert "never quoted" not in folded


def test_reader_leads_to_the_neighbouring_passages(client: TestClient) -> None:
    """This ensures that a marked passage has its place, its citation and both neighbours."""
    passages = tiny_documents()[0][1]

    html = client.get(f"/documents/guides/methadone.md?passage={passages[1].id}").text

    page = outline(html)
    links = [a for tag, a in page.tags if tag == "a" and a.get("rel") in ("prev", "next")]
    assert [a["href"] for a in links] == [
        f"/documents/guides/methadone.md?passage={passages[i].id}#p-{passages[i].id}" for i in (0, 2)
    ]
    assert "Passage 2 of 3" in page.text_of("span")
    assert "Example Health Service, 2019" in page.text_of("p")


def test_reader_of_an_unknown_passage_shows_the_document(client: TestClient) -> None:
    """This ensures that an old link into a document that is still there is no dead end."""
    response = client.get("/documents/guides/methadone.md?passage=gone")

    assert response.status_code == 200
    assert "<mark" not in response.text


def test_reader_describes_the_document_to_programs(client: TestClient) -> None:
    """This ensures that search engines learn the review date and the library, in the words of schema.org."""
    html = client.get("/documents/guides/methadone.md").text

    (described,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', html)
    data = json.loads(described)
    assert (data["@type"], data["lastReviewed"]) == ("MedicalWebPage", "2023-01-02")
    assert data["isPartOf"]["@type"] == "Collection"
    assert data["publisher"] == {"@type": "Organization", "name": "Example Health Service"}


def test_nothing_on_the_reader_runs(client: TestClient) -> None:
    """This ensures that the only script element is data, and that the browser is told to run none."""
    response = client.get("/documents/guides/methadone.md")

    page = outline(response.text)
    assert [a.get("type") for tag, a in page.tags if tag == "script"] == ["application/ld+json"]
    assert "script-src" not in response.headers["content-security-policy"]
    assert "default-src 'none'" in response.headers["content-security-policy"]


def test_long_document_comes_in_parts(tmp_path_factory: pytest.TempPathFactory) -> None:
    """This ensures that a book is shown part by part, and that a passage's link opens the part it stands in."""
    sections = {f"Chapter {n}": [f"Sentence {n} of the book. " + "It goes on. " * 900] for n in range(20)}
    document = tiny_document("book.md", "A book", sections)
    passages = tiny_passages(document)

    with tiny_client(tmp_path_factory.mktemp("book"), ((document, passages),)) as client:
        first = client.get("/documents/book.md").text
        last = client.get(f"/documents/book.md?passage={passages[-1].id}").text
        beyond = client.get("/documents/book.md?part=99").text

    assert "Part 1 of" in outline(first).text_of("span")
    assert "Sentence 0 of" in first
    assert "Sentence 19 of" not in first
    assert f'<mark id="p-{passages[-1].id}">' in last
    assert "Sentence 19 of" in beyond


def test_list_is_filtered_by_facts_alone(client: TestClient) -> None:
    """This ensures that documents are found by kind, subject and language, and that nothing can be typed."""
    everything = outline(client.get("/documents").text)
    some = client.get("/documents?source_type=health_service&tag=opioids&language=en-GB").text
    none = client.get("/documents?source_type=&tag=absent&language=").text

    assert not any(tag in ("input", "textarea") for tag, _ in everything.tags)
    assert f"{len(tiny_documents())} documents" in everything.text_of("h2")
    assert "1 document" in outline(some).text_of("h2")
    assert "Methadone" in outline(some).text_of("a")
    assert "0 documents" in outline(none).text_of("h2")
    assert "Show all" in outline(none).text_of("a")


def test_list_has_pages(tmp_path_factory: pytest.TempPathFactory) -> None:
    """This ensures that a large library is listed 50 at a time, with the filter kept on the way."""
    documents = tuple(
        tiny_document(f"{n:03}.md", f"Guide {n}", {"A": [f"Text {n}."]}, tags=("a&b",)) for n in range(120)
    )

    with tiny_client(
        tmp_path_factory.mktemp("many"), tuple((document, tiny_passages(document)) for document in documents)
    ) as client:
        second = outline(client.get("/documents?tag=a%26b&page=2").text)
        beyond = client.get("/documents?page=1000")

    steps = [a["href"] for tag, a in second.tags if tag == "a" and a.get("rel") in ("prev", "next")]
    assert steps == ["/documents?tag=a%26b&page=1", "/documents?tag=a%26b&page=3"]
    assert "Page 2 of 3" in second.text_of("span")
    assert "Guide 119" in beyond.text


@pytest.mark.parametrize("query", ["source_type=nobody", "page=0", "page=x", "tag=" + "x" * 201, "q=heroin"])
def test_bad_filter_is_a_readable_error(client: TestClient, query: str) -> None:
    """This ensures that a wrong link shows a page with an error, and echoes nothing of it."""
    response = client.get(f"/documents?{query}", headers=BROWSER)

    assert response.status_code == 422
    assert "heroin" not in response.text
    assert "<h2" in response.text
