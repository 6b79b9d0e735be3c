"""
Train the judge on what `judge_data.py` made. Resumable: a stopped or killed run goes on where it was.

    python tests/quality/train_judge.py PAIRS.jsonl[,PAIRS.jsonl ...] RUN_DIR [--questions 6000] [--layers 3] [--seed 0]

RUN_DIR then holds judge.pt, judge.json (shape, options, checksum) and log.jsonl. `measure_judge.py` measures it.
The order of the batches depends on the seed and the step alone, and the checkpoint holds torch's own state, so that an
interrupted run sees what an undisturbed one would; sums of several threads differ in their last digits all the same.

`--start RUN_DIR` begins with the weights of a finished run of as many layers. Only the part `train` and its trained
wordings are read. `--leave-out` keeps aspects apart, to see what carries over to an aspect that was never trained on.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from judge_model import SHAPE, WEIGHTS, Shape, bf16, new_judge, prefix_of, save_judge, to_tensors
from judge_sentences import reworded

from index.judge import PairEncoder, PairText
from index.model_files import find_model
from index.model_loading import import_torch, load_tokenizer

CHECKPOINT = "checkpoint.pt"
CHECKPOINT_EVERY_S = 60.0
WARM_UP = 0.06
# So many batches are sorted by length together, which saves a third of the padding.
POOL = 32


@dataclass(frozen=True, slots=True)
class Options:
    """What a run depends on besides its data."""

    questions: int = 6000
    layers: int = 3
    loss: str = "both"
    seed: int = 0
    batch: int = 16
    rate: float = 1.5e-4
    total: int = 96
    at_answer: float = 0.5
    reword: float = 0.35
    drop_headings: float = 0.6
    drop_title: float = 0.15
    start: str = ""
    leave_out: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


def read_groups(paths: Sequence[Path], options: Options) -> list[dict[str, Any]]:
    """Return the training groups of all files in a seeded order, at most so many as are asked for."""
    groups = [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]
    groups = [
        g for g in groups if g["part"] == "train" and g["wording"] == "trained" and g["aspect"] not in options.leave_out
    ]
    for group in groups:
        if options.kinds:
            group["passages"] = [p for p in group["passages"] if p["label"] or p["kind"] in options.kinds]
    groups = [g for g in groups if g["passages"]]
    random.Random(options.seed).shuffle(groups)
    return groups[: options.questions]


def seen_prefix(passage: dict[str, Any], source: random.Random, options: Options) -> str:
    """
    Return a passage's title and headings, some left out.

    The headings of the training documents name their aspect in one word; a judge that reads only those knows nothing.
    """
    title = "" if source.random() < options.drop_title else passage["title"]
    headings = () if source.random() < options.drop_headings else passage["headings"]
    return prefix_of(title, headings)


def seen(passage: dict[str, Any], source: random.Random, options: Options) -> PairText:
    """
    Return what is read of a passage: at answer time around the sentence likest to the question.

    Often that is not the one that answers, and then the window may miss it: `at_answer` is the share of such passages
    that are read around their answer, which says more surely what the label means.
    """
    best, answer = passage["best"], passage["answer"]
    if answer is not None and source.random() < options.at_answer:
        best = answer
    return PairText(seen_prefix(passage, source, options), tuple(passage["sentences"]), best)


def batches(groups: Sequence[dict[str, Any]], options: Options) -> Iterator[list[dict[str, Any]]]:
    """Yield batches of questions, those of a pool sorted by length and then shuffled."""
    source = random.Random(options.seed + 1)
    size = options.batch * POOL
    for first in range(0, len(groups), size):
        pool = sorted(
            groups[first : first + size], key=lambda g: sum(sum(map(len, p["sentences"])) for p in g["passages"])
        )
        cut = [pool[i : i + options.batch] for i in range(0, len(pool), options.batch)]
        source.shuffle(cut)
        yield from cut


def loss_of(scores: Any, labels: Any, spans: Sequence[tuple[int, int]], kind: str) -> Any:
    """
    Return the loss of one batch.

    Args:
        scores: log-odds `float[n]`; labels: 0 or 1 of each.
        spans: where each question's pairs stand.
        kind: bce (each pair alone), listwise (the answer among its question's pairs), margin (it leads by 2), both
            (bce and half the listwise one).
    """
    torch = import_torch()
    functional = torch.nn.functional
    total = functional.binary_cross_entropy_with_logits(scores, labels)
    if kind == "bce":
        return total
    within = []
    for start, end in spans:
        if labels[start] == 1 and end - start > 1:
            if kind == "margin":
                within.append(functional.relu(2.0 - scores[start] + scores[start + 1 : end]).mean())
            else:
                within.append(-functional.log_softmax(scores[start:end], dim=0)[0])
    if not within:
        return total
    ranked = torch.stack(within).mean()
    # A ranking alone has no zero point; a little of the first loss gives it one.
    return {"listwise": 0.1 * total + ranked, "margin": 0.1 * total + ranked, "both": total + 0.5 * ranked}[kind]


class Run:
    """One training, with its checkpoint."""

    def __init__(self, options: Options, folder: Path, n_steps: int) -> None:
        self.torch = import_torch()
        self.torch.manual_seed(options.seed)
        self.shape = Shape(options.layers, options.total)
        self.files = find_model()
        self.judge = new_judge(self.files, self.shape)
        if options.start:
            self.judge.load_state_dict(self.torch.load(Path(options.start) / WEIGHTS, weights_only=True))
        self.judge.train()
        trained = [p for p in self.judge.parameters() if p.requires_grad]
        self.optimizer = self.torch.optim.AdamW(trained, lr=options.rate, weight_decay=0.01)
        warm = max(1, int(WARM_UP * n_steps))
        self.schedule = self.torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda s: min((s + 1) / warm, max(0.0, (n_steps - s) / max(1, n_steps - warm)))
        )
        self.folder, self.options, self.step = folder, options, 0
        folder.mkdir(parents=True, exist_ok=True)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one of the same options."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return
        state = self.torch.load(path, weights_only=True)
        if state["options"] != json.dumps(asdict(self.options)):
            raise SystemExit(f"{path} is of a run with other options: delete it or name another folder")
        self.judge.load_state_dict(state["judge"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.torch.set_rng_state(state["random"])
        self.step = state["step"]

    def keep(self) -> None:
        """Write the checkpoint; a killed write leaves the old one."""
        aside = self.folder / f"{CHECKPOINT}.part"
        state = {
            "options": json.dumps(asdict(self.options)),
            "judge": self.judge.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": self.torch.get_rng_state(),
            "step": self.step,
        }
        self.torch.save(state, aside)
        aside.replace(self.folder / CHECKPOINT)

    def learn(self, groups: Sequence[dict[str, Any]], encoder: PairEncoder) -> float:
        """Take one step on a batch of questions and return its loss."""
        source = random.Random(self.options.seed * 1_000_003 + self.step)
        encoded, labels, spans = [], [], []
        for group in groups:
            start = len(encoded)
            question = reworded(group["question"], source, self.options.reword)
            for passage in sorted(group["passages"], key=lambda p: -p["label"]):
                encoded.append(encoder.encode(question, seen(passage, source, self.options)))
                labels.append(float(passage["label"]))
            spans.append((start, len(encoded)))
        with bf16():
            scores = self.judge(**to_tensors(encoded)).float()
        loss = loss_of(scores, self.torch.tensor(labels), spans, self.options.loss)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.judge.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        return float(loss.detach())


def train(run: Run, steps: Sequence[list[dict[str, Any]]]) -> None:
    """Take all steps that are left, with a progress bar, a log and a checkpoint once a minute."""
    from rich.console import Console
    from rich.progress import Progress

    encoder = PairEncoder(load_tokenizer(run.files), run.shape.pair())
    kept, losses = time.monotonic(), []
    with Progress(console=Console(stderr=True)) as progress, (run.folder / "log.jsonl").open("a") as log:
        bar = progress.add_task("training", total=len(steps), completed=run.step)
        while run.step < len(steps):
            losses.append(run.learn(steps[run.step], encoder))
            progress.update(bar, completed=run.step)
            if run.step % 20 == 0 or run.step == len(steps):
                row = {"step": run.step, "of": len(steps), "loss": round(sum(losses) / len(losses), 4)}
                log.write(json.dumps(row) + "\n")
                log.flush()
                losses.clear()
            if time.monotonic() - kept > CHECKPOINT_EVERY_S:
                run.keep()
                kept = time.monotonic()


def main(arguments: list[str] | None = None) -> int:
    """Train and write; returns the exit code."""
    parser = argparse.ArgumentParser(description="Train the judge.")
    parser.add_argument("pairs", help="files, with commas between")
    parser.add_argument("run", type=Path)
    for name, value in asdict(Options()).items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, tuple):
            parser.add_argument(flag, nargs="*", default=list(value))
        else:
            parser.add_argument(flag, type=type(value), default=value)
    parser.add_argument("--threads", type=int, default=2)
    given = vars(parser.parse_args(arguments))
    torch = import_torch()
    torch.set_num_threads(given.pop("threads"))
    pairs, folder = given.pop("pairs"), given.pop("run")
    options = Options(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})
    groups = read_groups([Path(file) for file in pairs.split(",")], options)
    if not groups:
        sys.stderr.write(f"{pairs}: no training questions are left\n")
        return 2
    if (folder / SHAPE).exists() and not (folder / CHECKPOINT).exists():
        sys.stderr.write(f"{folder}: there is a finished judge; name another folder or delete it\n")
        return 2
    steps = list(batches(groups, options))
    run = Run(options, folder, len(steps))
    run.resume()
    train(run, steps)
    n_pairs = sum(len(group["passages"]) for group in groups)
    about: dict[str, object] = {"options": asdict(options), "questions": len(groups), "pairs": n_pairs}
    save_judge(run.judge, run.shape, folder, about)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    sys.stdout.write(f"{folder}: {len(groups)} questions, {n_pairs} pairs\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
