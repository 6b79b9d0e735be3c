"""
The kinds of values that settings have, and what fits them. Reads nothing and knows no setting.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from service.tokens import check_token_list

_RATE = re.compile(r"[1-9][0-9]{0,4}\s*/\s*(second|minute|hour)|100000\s*/\s*(second|minute|hour)", re.IGNORECASE)


def split_commas(value: object) -> object:
    """Let a list be written as `a, b` where only text can be written: in the environment and on the command line."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _check_origin(value: str) -> str:
    scheme, _, host = value.partition("://")
    is_origin = scheme in ("http", "https") and host and not set(host) & set("/?#@*, ")
    if value != "*" and not is_origin:
        raise ValueError('an origin such as "https://example.org" without a path, or "*"')
    return value.lower()


def _check_web_address(value: str) -> str:
    if value and not value.startswith(("https://", "http://")):
        raise ValueError('an address that starts with "https://" or "http://", or nothing')
    return value.rstrip("/")


def _check_server_address(value: str) -> str:
    address = urlsplit(value)
    if address.scheme not in ("http", "https") or not address.hostname or address.query or address.fragment:
        raise ValueError('the address of a server, such as "http://127.0.0.1:19530"')
    if "@" in address.netloc:
        raise ValueError("an address without a user and a password: they belong into milvus_token")
    return value.rstrip("/")


def _check_not_empty(value: object) -> object:
    """Refuse "", which a Path would take for the working directory."""
    if value == "":
        raise ValueError("the path of a folder")
    return value


def upper(value: object) -> object:
    """Let a code be written in small letters."""
    return value.strip().upper() if isinstance(value, str) else value


def _check_rate(value: str) -> str:
    """Return a rate as `AMOUNT/UNIT` without spaces, "" for "off": an empty variable would count as not set."""
    if value.lower() == "off":
        return ""
    if value and not _RATE.fullmatch(value):
        raise ValueError('a rate such as "60/minute": a number from 1 to 100000, a slash, second, minute or hour')
    return "".join(value.lower().split())


def _check_network(value: object) -> str:
    try:
        network = ip_network(str(value))
    except ValueError as error:
        raise ValueError(f'addresses or networks such as "127.0.0.1" or "10.0.0.0/8" ({error})') from error
    if network.prefixlen == 0:
        raise ValueError("proxies of yours, not every address there is: forged headers would be believed")
    return str(network)


TokenHashes = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(split_commas), AfterValidator(check_token_list), Field(repr=False)
]
Folder = Annotated[Path, BeforeValidator(_check_not_empty)]
RateLimit = Annotated[str, AfterValidator(_check_rate)]
Network = Annotated[str, BeforeValidator(_check_network)]
Origin = Annotated[str, AfterValidator(_check_origin)]
ServerAddress = Annotated[str, AfterValidator(_check_server_address)]
WebAddress = Annotated[str, AfterValidator(_check_web_address)]
