"""What tests of the admin routes share: tokens, a corpus, a building process that waits to be told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from httpx2 import Response
from service_support import PROBLEM_MEMBERS, tiny_client
from starlette.testclient import TestClient

from service.tokens import new_token

TODAY = datetime.now(UTC).date()
ADMIN = new_token()
SECOND_ADMIN = new_token(TODAY + timedelta(days=3))
READ = new_token()
EXPIRED = new_token(TODAY - timedelta(days=1))
DOCUMENTS = {
    "methadone.md": "# Methadone\n\n## How it is taken\n\nMethadone is usually taken once a day, under supervision.\n",
    "guides/naloxone.md": "# Naloxone\n\n## What it does\n\nNaloxone reverses an overdose for 30 to 90 minutes.\n",
}
ZEBRA = b"# Zebra clinic\n\n## Hours\n\nThe zebra clinic hands out naloxone on Tuesdays from nine to noon.\n"


def bearer(token: str) -> dict[str, str]:
    """Return the header that sends a token."""
    return {"authorization": f"Bearer {token}"}


def write_corpus(folder: Path) -> Path:
    """Write the small library; returns its folder."""
    for name, text in DOCUMENTS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def pages(folder: Path, count: int) -> None:
    """Write documents that take a while to embed."""
    for number in range(count):
        text = "\n\n".join(
            f"## Part {part}\n\n" + f"Kit {number}.{part} holds naloxone for {part} days. " * 12 for part in range(12)
        )
        (folder / "corpus" / f"page-{number:03}.md").write_text(f"# Page {number}\n\n{text}\n")


def code_of(response: Response) -> str:
    """Return the code of a refusal; it has the one shape and is kept by nobody."""
    body = response.json()
    assert set(body) == PROBLEM_MEMBERS
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    return str(body["code"])


@contextmanager
def admin_client(folder: Path, *, is_built: bool = True, **settings: object) -> Iterator[TestClient]:
    """Serve a tiny snapshot beside the small library, with two admin tokens, one for reading and an expired one."""
    values: dict[str, object] = {
        "corpus": write_corpus(folder / "corpus"),
        "admin_tokens": (ADMIN.setting, SECOND_ADMIN.setting, EXPIRED.setting),
        "read_tokens": (READ.setting,),
    }
    with tiny_client(folder, is_built=is_built, **{**values, **settings}) as client:
        yield client


def waiting_process(_command: list[str], _line: bytes, lock: int) -> subprocess.Popen[bytes]:
    """Start a process that holds the lock of builds and does nothing until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=(lock,)
    )
