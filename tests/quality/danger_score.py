"""
Score one labelled file of messages: recall and false alarms, short and long, by kind, with and without an encoder.

    python tests/quality/danger_score.py danger/blind-1.jsonl --index-dir var/index      print the shares

Prints no text. For danger/blind-1.jsonl see test_danger.py: nobody may tune on it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

from index.encoder import open_encoder
from index.export import ensure_encoder
from index.model import QueryEncoder
from index.model_files import find_model
from service.danger import KINDS, DangerModel, assess, read_model
from service.danger_text import split_windows

FOLDER = Path(__file__).resolve().parent


def wilson(n_found: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share."""
    z, p = 1.96, n_found / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def shares(rows: list[dict[str, str]], encoder: QueryEncoder | None, model: DangerModel) -> Iterator[str]:
    """Yield a line for each group of messages: how many brought a notice."""
    alarm = [assess(row["text"], encoder, model) for row in rows]
    for length in ("short", "long"):
        for kind in ("danger", *KINDS, "safe", "es danger", "es safe"):
            found = [
                danger.is_danger
                for row, danger in zip(rows, alarm, strict=True)
                if (len(split_windows(row["text"])) > 1) == (length == "long")
                and (row["language"] == "es" or not kind.startswith("es "))
                and (
                    row["kind"] == kind
                    or (kind.endswith("danger") and row["kind"] != "safe")
                    or kind[3:] == row["kind"]
                )
            ]
            if found:
                low, high = wilson(sum(found), len(found))
                share = f"{sum(found)}/{len(found)} = {sum(found) / len(found):.3f}"
                yield f"{length:5} {kind:17} {share} ({low:.3f} to {high:.3f})"
    named = [
        row["kind"] in d.kinds for row, d in zip(rows, alarm, strict=True) if row["kind"] != "safe" and d.is_danger
    ]
    yield f"the right kind is among those named: {sum(named)}/{len(named)}" if named else "nothing found"


def main() -> None:
    """Print the shares with an encoder and without one."""
    parser = argparse.ArgumentParser(description="Score the detection of danger on a labelled file.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--index-dir", type=Path, default=Path("var/index"), help="where the encoder is or will be")
    options = parser.parse_args()
    path = options.file if options.file.exists() else FOLDER / options.file
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    rows = [{"kind": "safe", "language": "en", **row, "text": row.get("text") or row["question"]} for row in rows]
    for row in rows:
        row["kind"] = row["kind"] if row["kind"] in KINDS else "safe"
    files = find_model()
    ensure_encoder(options.index_dir, files)
    encoder = open_encoder(options.index_dir, files.fingerprint)
    for name, one in (("with an encoder", encoder), ("text alone", None)):
        sys.stdout.write(f"{name}\n" + "".join(f"  {line}\n" for line in shares(rows, one, read_model())))


if __name__ == "__main__":
    main()
