"""
Bearer tokens: how one is made, what the settings keep of it, and who may do what. Pure; knows no web framework.

The settings hold SHA-256 hashes. A token is 256 random bits, so that a plain hash can't be searched through: a slow
hash, made for passwords, would only let an attacker keep the server busy.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

# Says what it is, so that a scanner for leaked secrets can find it.
TOKEN_PREFIX = "citewell_"  # noqa: S105  no secret
MAX_TOKENS = 4
# Longer headers are no tokens of ours (52 characters) and are not hashed.
MAX_HEADER_CHARS = 512
WARN_BEFORE_DAYS = 14

_SETTING = re.compile(r"([0-9a-f]{64})(?:@(\d{4}-\d{2}-\d{2}))?")


class Access(StrEnum):
    """What a request's token allows."""

    NONE = "none"  # no token, or one that nobody knows
    EXPIRED = "expired"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class TokenHash:
    """One token as the settings keep it: its SHA-256, hex, and the last day on which it is valid."""

    sha256: str
    last_day: date | None = None

    def is_expired(self, today: date) -> bool:
        """Tell whether the last day has passed."""
        return self.last_day is not None and self.last_day < today


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made; the only moment at which it is known."""

    token: str
    setting: str


def new_token(last_day: date | None = None) -> NewToken:
    """Return a random token, and what the settings keep of it."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).hexdigest()
    return NewToken(token, digest if last_day is None else f"{digest}@{last_day.isoformat()}")


def parse_token_hash(setting: str) -> TokenHash:
    """
    Read one entry of a setting: a hash, or `<hash>@<last day>`.

    Raises:
        ValueError: it is something else; the message does not repeat it, as it may be a token put there by mistake.
    """
    text = setting.strip()
    if text.startswith(TOKEN_PREFIX):
        raise ValueError("the SHA-256 of a token, not the token itself (run `citewell token` for a new pair)")
    found = _SETTING.fullmatch(text.lower())
    if found is None:
        raise ValueError('64 hexadecimal digits, as `citewell token` prints them, or those with "@2027-01-31" behind')
    if found[1] == hashlib.sha256(b"").hexdigest():
        raise ValueError("the hash of a token, not of nothing")
    try:
        return TokenHash(found[1], date.fromisoformat(found[2]) if found[2] else None)
    except ValueError:
        raise ValueError("the hash and a day that exists, such as @2027-01-31") from None


def check_token_list(settings: Sequence[str]) -> tuple[str, ...]:
    """
    Return the entries of one setting, lower case.

    Raises:
        ValueError: an entry is malformed, one is there twice, or there are more than a rotation needs.
    """
    hashes = [parse_token_hash(setting).sha256 for setting in settings]
    if len(set(hashes)) < len(hashes):
        raise ValueError("each hash once")
    if len(hashes) > MAX_TOKENS:
        raise ValueError(f"at most {MAX_TOKENS} hashes: two are enough to change a token without a gap")
    return tuple(setting.strip().lower() for setting in settings)


def find_access(
    headers: Sequence[str], admin_tokens: Sequence[TokenHash], read_tokens: Sequence[TokenHash], today: date
) -> Access:
    """
    Return what the Authorization headers of a request allow.

    Takes the same time whatever was sent: one hash of at most `MAX_HEADER_CHARS` characters, and a constant-time
    comparison with every configured token, never ended early.

    Args:
        headers: all Authorization headers; more than one is none, as proxies differ in which they forward.
    """
    header = headers[0] if len(headers) == 1 else ""
    is_sane = len(header) <= MAX_HEADER_CHARS
    scheme, _, token = (header if is_sane else "").partition(" ")
    token = token.strip()
    is_sane = is_sane and scheme.lower() == "bearer" and bool(token)
    digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
    found = Access.NONE
    for tokens, access in ((read_tokens, Access.READ), (admin_tokens, Access.ADMIN)):
        for known in tokens:
            is_equal = hmac.compare_digest(known.sha256, digest)
            if is_equal and is_sane:
                found = Access.EXPIRED if known.is_expired(today) else access
    return found


def expired_names(tokens: Sequence[TokenHash], today: date) -> list[str]:
    """Return which tokens have expired, by their place in the list and their last day."""
    return [f"entry {n} ended on {t.last_day}" for n, t in enumerate(tokens, start=1) if t.is_expired(today)]


def expiry_warnings(name: str, tokens: Sequence[TokenHash], today: date) -> tuple[str, ...]:
    """Return a sentence for each token of a setting that ends within `WARN_BEFORE_DAYS` days, or has ended."""
    warnings = []
    for number, token in enumerate(tokens, start=1):
        if token.last_day is None or token.last_day > today + timedelta(days=WARN_BEFORE_DAYS):
            continue
        ends = f"ended on {token.last_day}" if token.is_expired(today) else f"is valid until {token.last_day}"
        warnings.append(
            f"{name}: entry {number} of {len(tokens)} {ends}; run `citewell token` and set a new one beside it"
        )
    return tuple(warnings)
