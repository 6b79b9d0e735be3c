"""Links into sources, opened in a real browser: does it mark the sentence that is cited?"""

from __future__ import annotations

import base64
import io
import random
import re
import sys
from pathlib import Path

import pypdf
from browser_support import Reply, Site
from generated_pages import GeneratedPage, generate_page
from PIL import Image, ImageChops
from playwright.sync_api import Browser, CDPSession, Page

from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder, write_tiny_snapshot
from ingest.library import open_library
from ingest.read import read_document
from ingest.split import SplitConfig, split_document
from service.citing import cite

N_PAGES = 200
# Each page is cited at one place. What may fail are marks inside words, where the browser sees other words.
LEAST_SHARE = 0.98
_NEAR = 8.0  # CSS pixels; a letter is wider


def library_of(pages: dict[str, str], folder: Path, site: str) -> Snapshot:
    """Read, split and index pages as a library of sources with addresses."""
    corpus = folder / "corpus"
    corpus.mkdir()
    for name, text in pages.items():
        (corpus / name).write_text(text, "utf-8")
    tables = "".join(f'[documents."{name}"]\nurl = "{site}/{name}"\n' for name in pages)
    (corpus / "library.toml").write_text(tables)
    library = open_library(corpus)
    documents = [read_document(library, file) for file in library.files()]
    count = HashingEmbedder().count_tokens
    split = tuple((document, split_document(document, SplitConfig(), count)) for document in documents)
    index_dir = IndexDir(folder / "index")
    write_tiny_snapshot(index_dir, split)
    return open_snapshot(index_dir)


def shown_at(text: str, page: GeneratedPage) -> list[tuple[int, int]]:
    """Return where each generated sentence stands in the document's text."""
    places, position = [], 0
    for sentence in page.sentences:
        pattern = r"\s+".join(re.escape(word) for word in sentence.split())
        found = re.compile(pattern).search(text, position)
        assert found, sentence
        places.append(found.span())
        position = found.end()
    return places


# Once what is marked is painted: where the cited elements' lines stand.
_PLACES = """async (numbers) => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return numbers.map((n) => [...document.querySelector(`[data-n='${n}']`).getClientRects()]
    .map((r) => [r.left, r.top, r.right, r.bottom]));
}"""


def is_on_cited(tab: Page, session: CDPSession, cited: list[int]) -> bool:
    """Tell whether what the browser has marked begins in the first cited element and ends in the last one."""
    places = tab.evaluate(_PLACES, cited)
    # Half the time of Playwright's own, which waits for fonts and more.
    shot = session.send("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True})["data"]
    red, green, blue = Image.open(io.BytesIO(base64.b64decode(shot))).convert("RGB").split()
    marked = ImageChops.multiply(ImageChops.multiply(red, blue), ImageChops.invert(green)).point(
        lambda v: 255 * (v > 250)
    )
    if (box := marked.getbbox()) is None:
        return False
    first, last = places[0][0], places[-1][-1]
    # The elements' lines are as high as their letters; the lines' own height keeps them far apart.
    is_begun = abs(box[1] - first[1]) < _NEAR and abs(box[3] - last[3]) < _NEAR
    opening = marked.crop((0, int(first[1]), marked.width, int(first[3]))).getbbox()
    return is_begun and opening is not None and abs(opening[0] - first[0]) < _NEAR


def test_links_lead_to_the_cited_sentence(browser: Browser, tmp_path: Path) -> None:
    """This ensures that a reader who follows a link sees the very sentence marked, on pages of many kinds."""
    pages = {f"page-{n:03}.html": generate_page(n) for n in range(N_PAGES)}
    site = Site()
    site.pages |= {f"/{name}": Reply(page.html) for name, page in pages.items()}
    snapshot = library_of({name: page.html for name, page in pages.items()}, tmp_path, site.origin)
    tab = browser.new_page(viewport={"width": 900, "height": 900})
    session = tab.context.new_cdp_session(tab)
    missed = []

    for name, page in pages.items():
        stored = random.Random(name).choice(snapshot.catalogue.passages_of(name))
        text = snapshot.catalogue.text(name)
        start, end = random.Random(name).choice(stored.passage.sentences)
        link = cite(stored.document, stored.passage, (start, end), text).link
        cited = [i for i, (a, b) in enumerate(shown_at(text, page)) if a < end and b > start]
        tab.goto(link)
        if not is_on_cited(tab, session, cited):
            missed.append((name, link, text[start:end]))

    snapshot.close()
    site.close()
    sys.stdout.write(f"deep links: {N_PAGES - len(missed)} of {N_PAGES} on the cited sentence\n")
    assert len(missed) <= (1 - LEAST_SHARE) * N_PAGES, missed


def test_links_into_a_pdf_name_the_page_of_the_quote(tmp_path: Path) -> None:
    """This ensures that every cited sentence of the starter library's PDFs begins on the page that its link opens."""
    corpus = Path(__file__).parents[2] / "corpus"
    pages = {path: pypdf.PdfReader(path).pages for path in sorted(corpus.rglob("*.pdf"))}
    library, checked = open_library(corpus), 0

    for file in (file for file in library.files() if file.suffix == ".pdf"):
        document = read_document(library, file)
        for passage in split_document(document, SplitConfig(), HashingEmbedder().count_tokens):
            start, end = passage.sentences[0]
            first = document.pages_of(start, end)
            words = re.findall(r"\w+", document.text[start:end])[:4]
            printed = re.findall(r"\w+", pages[corpus / file.path][(first or (0, 0))[0] - 1].extract_text())
            assert passage.pages is not None
            assert passage.pages[0] == (first or (0, 0))[0]
            assert any(printed[i : i + len(words)] == words for i in range(len(printed))), (file.path, words)
            checked += 1

    assert checked > 20
