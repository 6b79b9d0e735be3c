"""Links to passages over HTTP and on pages: as cited, moved, changed, withdrawn, never there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from edited_library import AFTER, BEFORE, FIRST, GONE, LOST, MOVED, SAME, SECOND, cited, library
from service_support import PROBLEM_MEMBERS, tiny_client
from starlette.testclient import TestClient

from index.store import IndexDir
from index.testing import write_tiny_snapshot

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Serve the second of two builds to all tests of the module."""
    folder = tmp_path_factory.mktemp("served")
    write_tiny_snapshot(IndexDir(folder / "index"), library(FIRST))
    with tiny_client(folder, library(SECOND)) as client:
        yield client


def test_same_passage_says_so(client: TestClient) -> None:
    """This ensures that a program can tell that the words it cites are still there."""
    reply = client.get(f"/v1/passages/{cited('a.md', SAME)}").json()

    assert (reply["state"], reply["moved_from"], reply["text"]) == ("same", None, SAME)


def test_moved_passage_is_sent_with_its_new_id(client: TestClient) -> None:
    """This ensures that the same words are quoted from where they stand now, with the id that was asked for."""
    asked = cited("b.md", MOVED)

    response = client.get(f"/v1/passages/{asked}")

    reply = response.json()
    assert response.status_code == 200
    assert (reply["state"], reply["moved_from"], reply["id"]) == ("moved", asked, cited("a.md", MOVED))
    assert (reply["text"], reply["document"]["id"]) == (MOVED, "a.md")


def test_changed_passage_is_not_in_place_of_the_quote(client: TestClient) -> None:
    """This ensures that what stands there now can't be taken for what was cited: it is a member apart."""
    asked = cited("a.md", BEFORE)

    reply = client.get(f"/v1/passages/{asked}?context=1").json()

    assert (reply["state"], reply["id"], reply["document"]["id"]) == ("changed", asked, "a.md")
    assert "text" not in reply
    assert reply["current"]["text"] == AFTER
    assert reply["current"]["context"]["before"].endswith("Part 1\n\n")
    assert reply["since"]


def test_changed_passage_without_a_successor_names_its_document(client: TestClient) -> None:
    """This ensures that where nothing clearly came of a passage nothing is shown for it."""
    reply = client.get(f"/v1/passages/{cited('a.md', LOST)}").json()

    assert (reply["state"], reply["current"], reply["document"]["id"]) == ("changed", None, "a.md")


@pytest.mark.parametrize("path", ["/v1/passages/", "/c/"])
def test_withdrawn_passage_is_gone(client: TestClient, path: str) -> None:
    """This ensures that a withdrawn passage is a 410 with the day, and none of its words."""
    response = client.get(path + cited("c.md", GONE))

    problem = response.json()
    assert response.status_code == 410
    assert response.headers["content-type"] == "application/problem+json"
    assert set(problem) == PROBLEM_MEMBERS
    assert problem["code"] == "passage_withdrawn"
    assert "on 20" in problem["detail"]
    assert "anaryword" not in response.text
    assert "c.md" not in response.text


@pytest.mark.parametrize("odd", ["0" * 20, "nothing", "%00", "a" * 5_000, cited("a.md", SAME).upper()])
def test_what_was_never_issued_is_not_found(client: TestClient, odd: str) -> None:
    """This ensures that 404 is said of ids that never were, and of those only."""
    assert client.get(f"/v1/passages/{odd}").status_code == 404
    assert client.get(f"/c/{odd}").status_code == 404


def test_page_of_a_moved_passage_says_that_it_moved(client: TestClient) -> None:
    """This ensures that a person lands on the words and reads that they were cited elsewhere."""
    redirect = client.get(f"/c/{cited('b.md', MOVED)}")
    page = client.get(redirect.headers["location"].partition("#")[0])
    plain = client.get(client.get(f"/c/{cited('a.md', SAME)}").headers["location"].partition("#")[0])

    assert redirect.status_code == 302
    assert f'<mark id="p-{cited("a.md", MOVED)}">{MOVED}</mark>' in page.text
    assert "has moved" in page.text
    assert "has moved" not in plain.text


def test_note_of_a_move_can_not_be_forged(client: TestClient) -> None:
    """This ensures that an address that claims a move that never was shows no such note."""
    here = cited("a.md", SAME)
    page = client.get(f"/documents/a.md?passage={here}&moved_from={cited('c.md', GONE)}")

    assert page.status_code == 200
    assert "has moved" not in page.text


def test_page_of_a_changed_passage_sets_it_apart(client: TestClient) -> None:
    """This ensures that a person reads first that the words changed, then what stands there, then how to go on."""
    page = client.get(f"/c/{cited('a.md', BEFORE)}", headers=BROWSER)

    order = [page.text.index(words) for words in ("has changed", "not what was cited", "mentions clinics", AFTER)]
    assert page.status_code == 200
    assert order == sorted(order)
    assert f"/documents/a.md?passage={cited('a.md', AFTER)}" in page.text
    assert "script" not in page.headers["content-security-policy"]


def test_page_of_a_lost_passage_leads_to_its_document(client: TestClient) -> None:
    """This ensures that without a known successor no passage is shown."""
    page = client.get(f"/c/{cited('a.md', LOST)}", headers=BROWSER).text

    assert "is not known" in page
    assert "<blockquote" not in page
    assert 'href="/documents/a.md"' in page
    assert "anaryword" not in page


def test_page_of_a_withdrawn_passage_says_when(client: TestClient) -> None:
    """This ensures that a person who follows an old link reads that it was withdrawn, the day, and no old word."""
    page = client.get(f"/c/{cited('c.md', GONE)}", headers=BROWSER)

    assert page.status_code == 410
    assert page.headers["vary"] == "Accept"
    assert "was withdrawn" in page.text
    assert "<time datetime=" in page.text
    assert "anaryword" not in page.text
    assert "c.md" not in page.text


def test_after_a_rollback_newer_ids_are_known(tmp_path: Path) -> None:
    """This ensures that going back does not turn the links of last week into 404s."""
    index_dir = IndexDir(tmp_path / "index")
    first = write_tiny_snapshot(index_dir, library(FIRST))
    write_tiny_snapshot(index_dir, library(SECOND))
    index_dir.rollback(first)

    with tiny_client(tmp_path, is_built=False) as client:
        moved = client.get(f"/v1/passages/{cited('a.md', MOVED)}").json()
        changed = client.get(f"/v1/passages/{cited('a.md', AFTER)}").json()

    assert (moved["state"], moved["id"]) == ("moved", cited("b.md", MOVED))
    assert (changed["state"], changed["current"]) == ("changed", None)
