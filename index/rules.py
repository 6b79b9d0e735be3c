"""
One fingerprint of all that decides, besides the inputs, what a build writes: this code and the libraries it reads with.

Version numbers that people raise are forgotten once, and then old results pass for new ones. So nothing that an older
build wrote is taken over unless the very code that wrote it is still in place.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import sqlite3
import unicodedata
from functools import cache
from pathlib import Path

# What turns bytes into text and text into sentences and word counts. Citewell's own version stands for its files where
# they lie in an archive.
_LIBRARIES = (
    "citewell",
    "charset-normalizer",
    "lxml",
    "mammoth",
    "markdown-it-py",
    "nupunkt",
    "pypdf",
    "pyyaml",
    "tokenizers",
)
_PACKAGES = ("ingest", "index")


@cache
def rules_fingerprint() -> str:
    """
    Return the SHA-256 of the source files of `ingest` and `index` and of the versions of what they read with.

    Read once a process, at its first build, in about 10 ms; a service that builds is restarted after an upgrade anyway.
    """
    digest = hashlib.sha256()
    versions = [f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES]
    versions += [platform.python_version(), unicodedata.unidata_version, sqlite3.sqlite_version]
    digest.update("\n".join(versions).encode())
    above = Path(__file__).parent.parent
    for package in _PACKAGES:
        for path in sorted((above / package).rglob("*.py")):
            digest.update(f"\n{path.relative_to(above).as_posix()} {_sha256(path)}".encode())
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
