"""The search box's file and how it is served: bytes, addresses, types, words, documentation. No browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_support import tiny_client
from starlette.testclient import TestClient

from service.box import Box, read_box

ROOT = Path(__file__).parents[2]
FILE = ROOT / "service/web/search-box.js"
SOURCE = FILE.read_text("utf-8")
GUIDE = (ROOT / "service/web/search-box.md").read_text("utf-8")
MOST_BYTES = 12_000


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Serve a tiny index to one other site."""
    with tiny_client(tmp_path_factory.mktemp("box"), cors_origins=("https://clinic.example",)) as client:
        yield client


def test_box_stays_small(record_property: pytest.RecordProperty) -> None:
    """This ensures that the whole box is at most 12,000 bytes on the wire."""
    n_bytes = len(read_box().compressed)

    record_property("search_box_gzip_bytes", n_bytes)
    assert n_bytes <= MOST_BYTES


@pytest.mark.parametrize("origin", ["https://clinic.example", "https://elsewhere.example", "null", None])
def test_every_site_may_load_the_script(client: TestClient, origin: str | None) -> None:
    """This ensures that the script is open to every origin, in one form that shared caches can keep."""
    headers = {"origin": origin} if origin else {}
    box: Box = client.app.state.box  # type: ignore[attr-defined]

    for path in ("/search-box.js", box.address):
        response = client.get(path, headers=headers)

        assert response.status_code == 200
        assert response.content == FILE.read_bytes()
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["cross-origin-resource-policy"] == "cross-origin"
        assert response.headers["content-type"] == "text/javascript; charset=utf-8"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["vary"] == "Accept-Encoding"
        assert "access-control-allow-credentials" not in response.headers


def test_api_keeps_its_allow_list(client: TestClient) -> None:
    """This ensures that opening the script opens nothing else: another site may still not ask."""
    preflight = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}

    listed = client.options("/v1/ask", headers={"origin": "https://clinic.example", **preflight})
    other = client.options("/v1/ask", headers={"origin": "https://elsewhere.example", **preflight})

    assert listed.headers["access-control-allow-origin"] == "https://clinic.example"
    assert other.status_code == 400
    assert other.headers.get("access-control-allow-origin") is None


def test_waiting_time_can_be_read_by_other_sites(client: TestClient) -> None:
    """This ensures that a box on an allowed site may read Retry-After, which its countdown needs."""
    response = client.get("/v1/health", headers={"origin": "https://clinic.example"})

    assert "retry-after" in response.headers["access-control-expose-headers"]


def test_address_with_hash_never_changes_and_can_be_pinned(client: TestClient) -> None:
    """This ensures that the pinned address is immutable, belongs to the integrity hash, and no other hash is served."""
    box = read_box()
    digest = base64.b64encode(hashlib.sha384(FILE.read_bytes()).digest()).decode()

    pinned = client.get(box.address)
    newest = client.get("/search-box.js")
    wrong = client.get("/search-box.0123456789abcdef.js")

    assert box.integrity == f"sha384-{digest}"
    assert hashlib.sha256(pinned.content).hexdigest().startswith(box.address.split(".")[1])
    assert pinned.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert newest.headers["cache-control"] == "public, max-age=300"
    assert wrong.status_code == 404


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [("gzip, br", True), ("gzip;q=0", False), ("*", True), ("identity", False), ("", False), ("gzip;q=x", False)],
)
def test_script_travels_compressed(client: TestClient, accepted: str, is_packed: bool) -> None:
    """This ensures that who takes gzip gets it, nobody else does, and each form has a tag of its own."""
    response = client.get("/search-box.js", headers={"accept-encoding": accepted})
    again = client.get(
        "/search-box.js", headers={"accept-encoding": accepted, "if-none-match": f"W/{response.headers['etag']}"}
    )

    assert (response.headers.get("content-encoding") == "gzip") is is_packed
    assert response.headers["etag"].endswith('-gz"') is is_packed
    assert response.content == FILE.read_bytes()
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["access-control-allow-origin"] == "*"
    assert gzip.decompress(read_box().compressed) == FILE.read_bytes()


def test_head_and_other_methods(client: TestClient) -> None:
    """This ensures that HEAD gives headers alone, and a POST is refused as everywhere."""
    head = client.head("/search-box.js")
    post = client.post("/search-box.js")

    assert (head.status_code, head.content) == (200, b"")
    assert (post.status_code, post.json()["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "forbidden",
    [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "cookie",
        "localStorage",
        "sessionStorage",
        "indexedDB",
        "sendBeacon",
        "XMLHttpRequest",
        "WebSocket",
        "pushState",
        "replaceState",
        "import(",
        "@import",
        "url(",
        "animation",
        "transition",
        ".slice(",
        ".substring(",
    ],
)
def test_script_does_without(forbidden: str) -> None:
    """This ensures that no markup is parsed, nothing stored, fetched elsewhere, animated, or cut by an offset."""
    assert forbidden not in SOURCE


def test_only_the_endpoint_is_called() -> None:
    """This ensures that the only requests are the question and the probe that carries none."""
    assert re.findall(r"fetch\(`([^`]+)`", SOURCE) == ["${base}/v1/ask", "${base}/v1/health/live"]
    assert re.findall(r"https?://\w[\w.-]+", SOURCE) == ["https://www.wikipedia.org"]


def _strings(language: str) -> str:
    start = SOURCE.index(f"\n  {language}: {{")
    return SOURCE[start : SOURCE.index("\n  },", start)]


def test_both_languages_say_everything() -> None:
    """This ensures that English and Spanish have the same keys, each with words, and the same places to fill in."""
    found = []
    for language in ("en", "es"):
        entries = re.findall(r"^ {4,6}(\w+): (.*)$", _strings(language), re.MULTILINE)
        assert all(words not in ('""', '["", ""],') for _, words in entries)
        found.append([(key, words.count("{x}")) for key, words in entries])

    assert found[0] == found[1]
    assert len(found[0]) > 55


def test_guide_names_what_there_is() -> None:
    """This ensures that the guide lists every attribute, part, slot, variable and event, and none that is not there."""
    attributes = re.findall(r'"([\w-]+)"', " ".join(re.findall(r"const (?:OPTIONS|LOOKS) = \[(.*)\]", SOURCE)))
    names = re.search(r'"(background [^"]*)"\.split', SOURCE)
    assert names
    variables = {f"--citewell-{name}" for name in names[1].split()} | set(re.findall(r"--citewell-[a-z-]+\w", SOURCE))
    there = {
        "attribute": {*attributes, "expose-question"},
        "part": set(re.findall(r'part: "([\w-]+)"', SOURCE)),
        "slot": set(re.findall(r'h\("slot", \{ name: "([\w-]+)"', SOURCE)),
        "variable": variables,
        "event": {f"citewell:{name}" for name in re.findall(r'#tell\("(\w+)"', SOURCE)},
    }

    for kind, expected in there.items():
        section = GUIDE[GUIDE.index(f"| {kind} |") :].split("\n\n")[0]
        assert set(re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)) == expected, kind


def test_types_hold() -> None:
    """This ensures that the TypeScript compiler, at its strictest, finds nothing to complain about in any script."""
    compiler = Path(sys.prefix) / "js/node_modules/.bin/tsc"
    found = str(compiler) if compiler.exists() else shutil.which("tsc")
    if found is None or shutil.which("node") is None:
        pytest.skip("no TypeScript compiler (make install puts it into .venv/js where npm is): types are not checked")
    options = ["--allowJs", "--checkJs", "--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom"]
    options += ["--moduleDetection", "force"]  # pages load every one of them as a module
    web = ROOT / "service/web"
    files = [*sorted(web.glob("*.js")), web / "examples/ask.mjs"]

    done = subprocess.run([found, *options, *map(str, files)], check=False, capture_output=True, text=True, timeout=120)

    assert FILE in files
    assert (done.returncode, done.stdout) == (0, "")
