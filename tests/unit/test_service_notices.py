"""The operator's crisis notices: read, checked, chosen."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from service.danger import KINDS
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
CONTACT = """
[[contacts]]
id = "us-911"
country = "US"
kinds = ["overdose"]
label = { en = "Call 911" }
href = "tel:911"
source = "https://example.org/911"
verified_on = 2026-11-22
expires = 2027-05-22
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


@pytest.mark.parametrize(
    ("question", "setting", "spoken"),
    [
        (DANGER, "en", "en"),
        (DANGER, "es", "en"),
        ("mi hijo de dos años se tragó una pastilla de metadona", "en", "es"),
        ("quiero quitarme la vida", "en", "es"),
        ("my hermano no despierta, his lips are blue, no respira", "es", "es"),
        ("my hermano no despierta, his lips are blue, no respira", "en", "en"),
        ("no respira", "es", "es"),
        ("no respira", "en", "en"),
    ],
)
def test_notices_speak_the_question_s_language(question: str, setting: str, spoken: str) -> None:
    """This ensures that a certain language is answered in itself, and any other in the one that was set."""
    notices = board(language=setting).choose(question, None)

    assert notices
    assert all(("emergencias" in notice.text) == (spoken == "es") for notice in notices)


def test_a_missing_translation_falls_back(tmp_path: Path) -> None:
    """This ensures that a notice in another language is shown rather than none."""
    path = tmp_path / "notices.toml"
    path.write_text(NOTICE, "utf-8")

    (first,) = NoticeBoard.load(path, today=TODAY).choose("mi hermano no despierta, está azul y no respira", None)

    assert first.text == "Call your local emergency number now."


@pytest.mark.parametrize("country", ["US", "GB", "ES"])
def test_every_notice_is_complete(country: str) -> None:
    """This ensures that all kinds stand in both languages, each a crisis notice with a day and a link."""
    shipped = board(country)

    for language in ("en", "es"):
        for kind in KINDS:
            notice = shipped.notice_of(kind, language)

            assert notice is not None
            assert notice.kind == "crisis"
            assert notice.verified_on is not None
            assert notice.links
    assert {(text.kind, text.language) for text in shipped.texts} == {(k, lang) for k in KINDS for lang in ("en", "es")}
    assert all(text.verified_on < text.expires for text in shipped.texts)


def test_two_dangers_bring_two_notices() -> None:
    """This ensures that no danger is left out because another is named with it, and how they are ordered."""
    message = (
        "My boyfriend is hitting me and says he will kill me. My toddler swallowed my methadone pills off the floor. "
        "I'm in the bathroom with the door locked, please help us."
    )

    ids = [notice.id for notice in board().choose(message, None)]

    assert ids == ["child_poisoning", "violence"]


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
        (("Call your local", "Call\\u202e your local"), "control character"),
        (('number now."', 'number now, 911."'), "number in the text"),
        (("expires = 2027-11-22", "expires = 2026-11-22"), "expires"),
        (("expires = 2027-11-22", "# expires"), "expires"),
        (("verified_on = 2026-11-22", "verified_on = true"), "verified_on"),
        (("text =", 'links = [{ label = "x", href = "javascript:alert(1)" }]\ntext ='), "tel, sms or https"),
        (("text =", 'links = [{ label = "<b>x</b>", href = "https://example.org" }]\ntext ='), "markup"),
        (("text =", 'links = [{ label = "x", href = "tel:911" }]\ntext ='), "number as a link"),
        (("text =", 'text = "again"\ntext ='), "TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, change: tuple[str, str], what: str) -> None:
    """This ensures that a slip in the file is named instead of a notice being lost."""
    path = tmp_path / "notices.toml"
    path.write_text(NOTICE.replace(*change), "utf-8")

    with pytest.raises(NoticesInvalid) as caught:
        NoticeBoard.load(path, today=TODAY)

    assert what in f"{caught.value.where} {caught.value.what}"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (('href = "tel:911"', 'href = "javascript:alert(1)"'), "tel, sms or https"),
        (('source = "https:', 'source = "http:'), "https"),
        (('country = "US"', 'country = "usa"'), "country"),
        (('kinds = ["overdose"]', 'kinds = ["fire"]'), "kinds"),
        (('kinds = ["overdose"]', "kinds = []"), "kinds"),
        (('en = "Call 911"', 'en = "<script>911</script>"'), "markup"),
        (('en = "Call 911"', 'xx = "Call 911"'), "label"),
        (("expires = 2027-05-22", "expires = 2026-05-22"), "expires"),
    ],
)
def test_a_wrong_contact_is_refused(tmp_path: Path, change: tuple[str, str], what: str) -> None:
    """This ensures that a number which leads nowhere, or to a script, never stands in a notice."""
    path = tmp_path / "notices.toml"
    path.write_text(NOTICE + CONTACT.replace(*change), "utf-8")

    with pytest.raises(NoticesInvalid) as caught:
        NoticeBoard.load(path, today=TODAY)

    assert what in f"{caught.value.where} {caught.value.what}"


def test_two_contacts_with_one_id_are_refused(tmp_path: Path) -> None:
    """This ensures that of two numbers with one name none is shown by chance."""
    path = tmp_path / "notices.toml"
    path.write_text(NOTICE + CONTACT + CONTACT, "utf-8")

    with pytest.raises(NoticesInvalid, match="second contact"):
        NoticeBoard.load(path, today=TODAY)


@pytest.mark.parametrize(
    ("day", "problem", "is_error"),
    [
        (date(2027, 5, 22), "us-911: expired on 2027-05-22, its links are not shown", True),
        (date(2027, 5, 1), "us-911: expires on 2027-05-22", False),
        (date(2026, 11, 1), "us-911: verified on 2026-11-22, in the future", True),
    ],
)
def test_lint_says_what_is_out_of_date(tmp_path: Path, day: date, problem: str, is_error: bool) -> None:
    """This ensures that an operator learns of a number that is not shown any more, and before it is so."""
    path = tmp_path / "notices.toml"
    path.write_text(NOTICE + CONTACT, "utf-8")

    findings = NoticeBoard.load(path, "US").lint(day)

    found = [finding.is_error for finding in findings if f"{finding.field}: {finding.problem}" == problem]
    assert found == [is_error]


def test_lint_names_what_is_missing(tmp_path: Path) -> None:
    """This ensures that a kind without a notice is an error in the language that is set, and advice in the other."""
    path = tmp_path / "notices.toml"
    path.write_text(NOTICE, "utf-8")

    findings = {finding.problem: finding.is_error for finding in NoticeBoard.load(path, "FR").lint(TODAY)}

    assert findings["no notice for suicide in en"]
    assert not findings["no notice for overdose in es"]
    assert not findings["no contacts for the country FR: the worldwide wording is shown"]
    assert "no notice for overdose in en" not in findings


@pytest.mark.parametrize(("content", "what"), [(b"\xff\xfe", "UTF-8"), (b"#" * 600_000, "larger"), (None, "read")])
def test_an_unreadable_file_is_refused(tmp_path: Path, content: bytes | None, what: str) -> None:
    """This ensures that a file which is none is named as such."""
    path = tmp_path / "notices.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(NoticesInvalid, match=what):
        NoticeBoard.load(path, today=TODAY)


def test_two_notices_of_one_kind_and_language_are_refused(tmp_path: Path) -> None:
    """This ensures that it is never left to chance which of two texts is shown."""
    path = tmp_path / "notices.toml"
    path.write_text(NOTICE + NOTICE, "utf-8")

    with pytest.raises(NoticesInvalid):
        NoticeBoard.load(path, today=TODAY)
