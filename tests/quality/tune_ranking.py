"""
Tries weights of ranking on labelled questions and prints one line per combination; nothing is changed.

    python tests/quality/tune_ranking.py INDEX_DIR=QUESTIONS.jsonl [INDEX_DIR=QUESTIONS.jsonl ...]

The weights in `index.fuse.FusionConfig` and `index.lexical.FIELD_WEIGHTS` were chosen with it; the figures are in
ARCHITECTURE.md ("Ranking").
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import index.lexical
from index.encoder import open_encoder
from index.fuse import FusionConfig
from index.snapshot import open_snapshot
from index.store import IndexDir
from service.answering import AnswerPolicy
from service.evaluation import evaluate_file

FIELD_WEIGHTS = (2.0, 3.0, 4.0, 6.0)  # of title and headings, the text's being 1
EVIDENCE_WEIGHTS = ((1, 1, 1), (1, 0, 1), (2, 0, 1), (1, 0, 0))  # passage, text, sentence
LEXICAL_SHARES = (0.4, 0.5)


def iter_configs() -> Iterator[tuple[float, FusionConfig]]:
    """Yield every combination."""
    for field, (passage, text, sentence), share in itertools.product(FIELD_WEIGHTS, EVIDENCE_WEIGHTS, LEXICAL_SHARES):
        yield (
            field,
            FusionConfig(passage_weight=passage, text_weight=text, sentence_weight=sentence, max_lexical_share=share),
        )


def measure(index_dir: Path, questions: Path, config: FusionConfig) -> str:
    """Return hit@1, hit@3, hit@5 and MRR@10 over all answerable questions."""
    with open_snapshot(IndexDir(index_dir)) as snapshot:
        encoder = open_encoder(index_dir, snapshot.manifest.model.fingerprint)
        report = evaluate_file(questions, snapshot, encoder, AnswerPolicy(fusion=config)).to_json()
    overall = report["ranking"]["overall"]
    return " ".join(f"{name} {overall[name]['value']:.3f}" for name in ("hit@1", "hit@3", "hit@5", "mrr@10"))


def main() -> None:
    """Print a line per combination and collection."""
    pairs = [argument.split("=", 1) for argument in sys.argv[1:]]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise SystemExit(__doc__)
    for field, config in iter_configs():
        index.lexical.FIELD_WEIGHTS = {"title": field, "headings": field, "text": 1.0}
        weights = f"{config.passage_weight:g} {config.text_weight:g} {config.sentence_weight:g}"
        for index_dir, questions in pairs:
            found = measure(Path(index_dir), Path(questions), config)
            sys.stdout.write(
                f"fields {field:g}  evidence {weights}  share {config.max_lexical_share:g}  {questions}: {found}\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
