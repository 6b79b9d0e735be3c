"""What every document of the starter library is made from: its words, its blocks, dates that stay."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "starter_library"
CORPUS = HERE.parent.parent / "corpus"

PUBLISHER = "Citewell starter library"
PUBLISHED = datetime(2026, 11, 21, tzinfo=UTC)
LICENSE = "Apache-2.0"
# The earliest time that a ZIP entry can hold.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
# Any constant namespace does; it only has to stay the same.
ID_NAMESPACE = uuid.UUID("6f1d3f0e-7c4b-5a55-9a3e-0c1e5ca11b4a")

# Where a word may be divided at the end of a line. Listed by hand so that no hyphenation
# library (and no update of one) can change the bytes.
SYLLABLES = (
    "ac-cord-ing ad-just-ed anti-bi-ot-ics ar-ti-cle at-ten-tion be-hav-iour-al bup-re-nor-phine "
    "cel-lu-li-tis com-par-i-son com-pared con-di-tion coun-sel-ling coun-sel-lor crav-ings "
    "de-pend-ence dif-fer-ence en-do-car-di-tis fam-i-lies "
    "gov-ern-ment hep-a-ti-tis her-oin in-ci-dents in-fec-tion in-fec-tions in-jec-tion "
    "in-ject-ing in-pa-tient Jour-nal med-i-cine med-i-cines Med-i-cine med-i-cal "
    "meth-a-done mo-ti-va-tion-al nal-trex-one out-pa-tient over-dose opi-oid opi-oids "
    "par-tic-i-pants peo-ple pro-fes-sion-al pro-gramme pre-scribed pub-lish-er re-cep-tor "
    "re-cep-tors reg-u-lar re-lapse re-port-ed spe-cial stim-u-lants sub-stance "
    "su-per-vi-sion symp-toms ther-a-pies ther-a-py treat-ment treat-ments us-ing weak-en "
    "with-drawal with-out"
)
DIVISIONS = {word.replace("-", "").lower(): word.split("-") for word in SYLLABLES.split()}


@dataclass(frozen=True, slots=True)
class Block:
    """Hold one block of a text source: heading2, heading3, paragraph, item or row."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """Hold one set line of a PDF, measures in points; ``heading`` is set on its first line."""

    text: str
    font: str
    size: float
    indent: float = 0.0
    heading: str = ""


def read_source(name: str) -> tuple[str, list[Block]]:
    """Return the title and the blocks of ``starter_library/<name>.txt``."""
    title = ""
    blocks: list[Block] = []
    prefixes = {"## ": "heading2", "### ": "heading3", "- ": "item", "| ": "row"}
    for line in (SOURCES / f"{name}.txt").read_text("utf-8").splitlines():
        if not line.strip():
            continue
        if line.startswith("# "):
            title = line[2:]
            continue
        for prefix, kind in prefixes.items():
            if line.startswith(prefix):
                blocks.append(Block(kind, line[len(prefix) :].strip().rstrip("|").strip()))
                break
        else:
            blocks.append(Block("paragraph", line.strip()))
    return title, blocks


def slug(heading: str) -> str:
    """Return an element id for a heading: lower-case words joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", heading.lower()))
