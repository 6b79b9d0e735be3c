"""Tokens: made, kept as hashes, told apart, never shown."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import tokens
from service.environment import load_settings
from service.errors import SettingsInvalid
from service.guard import check_tokens
from service.settings import Settings
from service.tokens import Access, TokenHash, expiry_warnings, find_access, new_token, parse_token_hash

TODAY = date(2026, 6, 1)
ADMIN, READ, OLD = new_token(), new_token(), new_token(TODAY - timedelta(days=1))
ADMINS = (parse_token_hash(OLD.setting), parse_token_hash(ADMIN.setting))
READERS = (parse_token_hash(READ.setting),)


def access(*headers: str) -> Access:
    return find_access(headers, ADMINS, READERS, TODAY)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"Bearer {ADMIN.token}", Access.ADMIN),
        (f"bearer   {ADMIN.token} ", Access.ADMIN),
        (f"Bearer {READ.token}", Access.READ),
        (f"Bearer {OLD.token}", Access.EXPIRED),
        (f"Basic {ADMIN.token}", Access.NONE),
        (ADMIN.token, Access.NONE),
        (f"Bearer {ADMIN.setting}", Access.NONE),
        (f"Bearer {ADMIN.token}x", Access.NONE),
        (f"Bearer {ADMIN.token[:-1]}", Access.NONE),
        ("Bearer ", Access.NONE),
        ("Bearer", Access.NONE),
        ("", Access.NONE),
        ("Bearer \xff\x00", Access.NONE),
    ],
)
def test_header_gives_the_access_of_its_token(header: str, expected: Access) -> None:
    """This ensures that exactly the token, sent as RFC 6750 says, opens what it is for."""
    assert access(header) is expected


def test_no_header_or_two_give_none() -> None:
    """This ensures that two headers, of which a proxy may forward the other one, open nothing."""
    assert access() is Access.NONE
    assert access(f"Bearer {ADMIN.token}", f"Bearer {ADMIN.token}") is Access.NONE


@given(st.text(max_size=600))
def test_no_other_text_opens_anything(text: str) -> None:
    """This ensures that whatever is sent is an answer and not an error, and opens nothing."""
    assert access(f"Bearer {text}") is Access.NONE


def test_huge_header_is_not_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a header of megabytes costs the hash of nothing, also when it begins with a good token."""
    hashed: list[int] = []
    real = hashlib.sha256
    monkeypatch.setattr(tokens.hashlib, "sha256", lambda data: (hashed.append(len(data)), real(data))[1])

    found = access(f"Bearer {ADMIN.token}{' ' * 5_000_000}")

    assert found is Access.NONE
    assert hashed == [0]


def test_every_token_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that the time does not tell which entry matched, or whether any did."""
    compared: list[str] = []
    real = tokens.hmac.compare_digest
    monkeypatch.setattr(tokens.hmac, "compare_digest", lambda a, b: (compared.append(a), real(a, b))[1])

    for header in (f"Bearer {OLD.token}", f"Bearer {READ.token}", "Bearer x", ""):
        compared.clear()
        access(header)

        assert compared == [t.sha256 for t in (*READERS, *ADMINS)]


def test_last_day_counts() -> None:
    """This ensures that a token is valid on its last day and no longer on the next."""
    token = TokenHash("0" * 64, TODAY)

    assert not token.is_expired(TODAY)
    assert token.is_expired(TODAY + timedelta(days=1))


def test_tokens_are_long_and_different() -> None:
    """This ensures that a token holds 256 random bits and that its setting is its hash and its last day."""
    made = new_token(date(2027, 1, 31))

    assert len(made.token) == len("citewell_") + 43
    assert made.setting == hashlib.sha256(made.token.encode()).hexdigest() + "@2027-01-31"
    assert made.token != new_token().token


def test_health_warns_two_weeks_ahead() -> None:
    """This ensures that an operator hears of an end 14 days before, and not of one that is further away."""
    ends = [TokenHash("0" * 64, TODAY + timedelta(days=n)) for n in (14, 15, -1)]

    warnings = expiry_warnings("admin_tokens", [*ends, TokenHash("1" * 64)], TODAY)

    assert len(warnings) == 2
    assert "entry 1 of 4 is valid until 2026-06-15" in warnings[0]
    assert "entry 3 of 4 ended on 2026-05-31" in warnings[1]
    assert "000" not in "".join(warnings)


GOOD = ADMIN.setting


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"admin_tokens": "abc"}, ["admin_tokens"]),
        ({"admin_tokens": GOOD[:-1]}, ["admin_tokens"]),
        ({"admin_tokens": f"{GOOD}@2027-02-30"}, ["admin_tokens"]),
        ({"admin_tokens": f"{GOOD}@tomorrow"}, ["admin_tokens"]),
        ({"read_tokens": f"{GOOD},{GOOD}@2030-01-01"}, ["read_tokens"]),
        ({"admin_tokens": GOOD, "read_tokens": f"{GOOD.upper()}@2030-01-01"}, ["admin_tokens", "read_tokens"]),
        ({"read_tokens": ",".join(new_token().setting for _ in range(5))}, ["read_tokens", "at most 4"]),
        ({"admin_tokens": hashlib.sha256(b"").hexdigest()}, ["admin_tokens", "of nothing"]),
    ],
)
def test_wrong_settings_are_named(
    values: dict[str, str], names: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """This ensures that a malformed or contradicting setting stops the start, named and without its value."""
    monkeypatch.chdir(str(tmp_path))
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(values)

    assert all(name in str(caught.value) for name in names)
    assert not any(value.strip()[:12] in str(caught.value) for value in values.values() if len(value) > 12)


def test_token_in_place_of_its_hash_is_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """This ensures that an operator's slip does not print a working token."""
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setenv("CITEWELL_ADMIN_TOKENS", ADMIN.token)

    with pytest.raises(SettingsInvalid) as caught:
        load_settings()

    assert "not the token itself" in str(caught.value)
    assert ADMIN.token[12:] not in str(caught.value)
    assert ADMIN.setting not in repr(Settings(admin_tokens=(ADMIN.setting,)))


def test_expired_token_stops_the_start() -> None:
    """This ensures that serving does not begin with a token that opens nothing; both names are said."""
    settings = Settings(admin_tokens=(ADMIN.setting,), read_tokens=(f"{READ.setting}@2020-01-01",))

    with pytest.raises(SettingsInvalid) as caught:
        check_tokens(settings)

    assert caught.value.where == "read_tokens"
    assert "entry 1 ended on 2020-01-01" in caught.value.what
