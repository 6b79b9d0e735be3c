"""The operator's crisis notices: read, checked, chosen."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from service.errors import NoticesInvalid
from service.notices import NoticeBoard

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 12, 1)
DANGER = "he took too much, his lips are blue and he wont wake up"
NOTICE = """
[[notices]]
id = "overdose"
kind = "overdose"
language = "en"
verified_on = 2026-11-22
expires = 2027-11-22
title = "Call for help now."
text = "Call your local emergency number now."
"""


def board(country: str = "", language: str = "en", today: date = TODAY) -> NoticeBoard:
    return NoticeBoard.load(ROOT / "corpus" / "notices.toml", country, language, today=today)


def test_danger_brings_a_notice_without_any_encoder() -> None:
    """This ensures that somebody in danger is met even before an index was built."""
    (first, *_) = board().choose(DANGER, None)

    assert (first.kind, first.id) == ("crisis", "overdose")


def test_a_question_about_overdose_brings_none() -> None:
    """This ensures that people who want to learn are not met with an alarm."""
    assert board().choose("What is naloxone and how does it work?", None) == ()


def test_numbers_are_those_of_the_country_and_none_by_default() -> None:
    """This ensures that nobody is given another country's number."""
    links = {c: {link.href for notice in board(c).choose(DANGER, None) for link in notice.links} for c in ("", "US")}

    assert not any(href.startswith("tel:") for href in links[""])
    assert "tel:911" in links["US"]


def test_an_expired_number_is_not_shown() -> None:
    """This ensures that a number which nobody has checked for a year leaves the worldwide wording alone."""
    late = board("US", today=date(2028, 1, 1))

    notices = late.choose(DANGER, None)

    assert notices
    assert not any(link.href.startswith("tel:") for notice in notices for link in notice.links)
    assert late.expired(date(2028, 1, 1))


def test_notices_speak_spanish() -> None:
    """This ensures that the Spanish texts are chosen by their setting."""
    (first, *_) = board(language="es").choose(DANGER, None)

    assert "emergencias" in first.text


@pytest.mark.parametrize("text", ["", "🙂", "\ud800", "a" * 100_000, "x\x00y", "'; DROP TABLE", "مرحبا"])
def test_no_text_makes_choosing_fail(text: str) -> None:
    """This ensures that whatever is typed, looking for danger never stops an answer."""
    assert isinstance(board().choose(text, None), tuple)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (("[[notices]]", "[[notices"), "notices.toml"),
        (('kind = "overdose"', 'kind = "boredom"'), "kind"),
        (('language = "en"', 'language = "tlh"'), "language"),
        (("Call your local", "<script>Call your local"), "text"),
        (("expires = 2027-11-22", 'expires = "soon"'), "expires"),
        (("title =", "titel ="), "title"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, change: tuple[str, str], what: str) -> None:
    """This ensures that a slip in the file is named instead of a notice being lost."""
    path = tmp_path / "notices.toml"
    path.write_text(NOTICE.replace(*change), "utf-8")

    with pytest.raises(NoticesInvalid) as caught:
        NoticeBoard.load(path, today=TODAY)

    assert what in f"{caught.value.where} {caught.value.what}"


def test_two_notices_of_one_kind_and_language_are_refused(tmp_path: Path) -> None:
    """This ensures that it is never left to chance which of two texts is shown."""
    path = tmp_path / "notices.toml"
    path.write_text(NOTICE + NOTICE, "utf-8")

    with pytest.raises(NoticesInvalid):
        NoticeBoard.load(path, today=TODAY)
