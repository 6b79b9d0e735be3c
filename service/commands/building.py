"""`citewell build` and `citewell lint`: from a folder of documents to a published snapshot, and what to mend in it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from index.build import BuildConfig, BuildPlan, BuildReport, build_index, plan_build
from index.changes import Changes
from index.dense_config import describe_dense
from index.embed import SentenceTransformerEmbedder
from index.model import PassageEmbedder
from index.model_files import find_model
from service.commands.output import phase_progress, print_json, print_line, print_note, print_table
from service.engines import opened_index
from service.errors import SettingsInvalid
from service.executing import executor_maker
from service.gate import dense_config, make_gate
from service.problems import EXIT_FAILURE
from service.settings import Settings

_SHOWN = 20


def run_build(
    settings: Settings,
    *,
    allow_failures: bool,
    as_json: bool,
    gate: Path | None = None,
    gate_floors: Path | None = None,
    dry_run: bool = False,
    watch: bool = False,
) -> int:
    """
    Build and publish; returns 1 when a file could not be read, unless that is allowed.

    Args:
        gate: labelled questions; the new index is published only if their answers hold the floors.
        gate_floors: the floors; beside the questions where not given.
        dry_run: only say what a build would do; nothing is written.
        watch: build again whenever the corpus changes, until asked to end; returns 0 then.
    """
    if dry_run and watch:
        raise SettingsInvalid(
            "a dry run ends, watching does not", where="--dry-run and --watch", fix="give one of them"
        )
    check = None if gate is None else make_gate(gate, gate_floors, settings)
    config = BuildConfig(gate=check, dense=dense_config(settings, gate), make_executor=executor_maker(settings))
    embedder = SentenceTransformerEmbedder(find_model(settings.model))
    if watch:
        from service.commands.watching import run_watch

        return run_watch(settings, config, embedder, lambda report: _print_report(report, settings), as_json=as_json)
    if dry_run:
        return _run_plan(settings, config, embedder, allow_failures=allow_failures, as_json=as_json)
    with phase_progress() as on_progress, opened_index(settings) as index_dir:
        report = build_index(settings.corpus, index_dir, embedder, config, on_progress)
    if as_json:
        print_json(dataclasses.asdict(report))
    else:
        _print_report(report, settings)
    return EXIT_FAILURE if report.failures and not allow_failures else 0


def _run_plan(
    settings: Settings, config: BuildConfig, embedder: PassageEmbedder, *, allow_failures: bool, as_json: bool
) -> int:
    with phase_progress() as on_progress:
        plan = plan_build(settings.corpus, settings.index_dir, embedder, config, on_progress)
    if as_json:
        print_json(dataclasses.asdict(plan))
    else:
        _print_plan(plan)
    return EXIT_FAILURE if plan.failures and not allow_failures else 0


def _print_plan(plan: BuildPlan) -> None:
    rows = [
        ("live snapshot", plan.previous_id or "none"),
        ("documents", str(plan.n_documents)),
        ("passages", str(plan.n_passages)),
        *_change_rows(plan.changes),
        ("to embed", str(plan.n_to_embed)),
        ("to reuse", str(plan.n_reused)),
        ("failures", str(len(plan.failures))),
        ("warnings", str(len(plan.warnings))),
        ("ignored", str(len(plan.ignored))),
    ]
    print_table(("what", "value"), rows)
    if plan.previous_id:
        _print_changes(plan.changes)
    for failure in plan.failures:
        print_line(f"would fail: {failure.path}: {failure.reason} ({failure.fix})")
    _print_warnings(plan.warnings)
    print_note("a dry run: nothing was written")


def _change_rows(changes: Changes) -> Iterator[tuple[str, str]]:
    yield "added", str(len(changes.added))
    yield "changed", str(len(changes.changed))
    yield "moved", str(len(changes.moved))
    yield "removed", str(len(changes.removed))
    yield "unchanged", str(changes.n_unchanged)


def _print_changes(changes: Changes) -> None:
    """Name what differs, the first few of each kind."""
    kinds: tuple[tuple[str, Sequence[str]], ...] = (
        ("added", changes.added),
        ("changed", changes.changed),
        ("moved", [f"{old} to {new}" for old, new in changes.moved]),
        ("removed", changes.removed),
    )
    for kind, paths in kinds:
        for path in paths[:_SHOWN]:
            print_line(f"{kind}: {path}")
        if len(paths) > _SHOWN:
            print_line(f"{kind}: {len(paths) - _SHOWN} more (see --json)")


def _print_report(report: BuildReport, settings: Settings) -> None:
    rows = [
        ("snapshot", report.snapshot_id or "none"),
        ("documents", str(report.n_documents)),
        ("passages", str(report.n_passages)),
        ("sentences", str(report.n_sentences)),
        *_change_rows(report.changes),
        ("embedded", str(report.n_embedded)),
        ("reused", str(report.n_reused)),
        ("dense index", describe_dense(report.dense.sealed())),
        ("failures", str(len(report.failures))),
        ("warnings", str(len(report.warnings))),
        ("ignored", str(len(report.ignored))),
        *((f"seconds {phase}", f"{seconds:.1f}") for phase, seconds in report.seconds.items()),
        ("model", f"{report.model_share:.0%} of the time"),
        ("passages/s", f"{report.embedding_passages_per_s:.0f}"),
        ("peak memory MB", f"{report.peak_memory_bytes / 1e6:.0f}"),
    ]
    print_table(("what", "value"), rows)
    if report.previous_id:
        _print_changes(report.changes)
    for failure in report.failures:
        print_line(f"failed: {failure.path}: {failure.reason} ({failure.fix})")
    _print_warnings(report.warnings)
    for path in report.ignored[:_SHOWN]:
        print_line(f"ignored: {path}")
    if len(report.ignored) > _SHOWN:
        print_line(f"ignored: {len(report.ignored) - _SHOWN} more (see --json)")
    if report.failures:
        print_note("files that failed are not in the index; mend them, or accept that with --allow-failures")
    if report.snapshot_id:
        at = f"--index-dir {settings.index_dir}"
        print_note(f'ask it: citewell ask {at} "..."\nserve it: citewell serve {at}')


def _print_warnings(warnings: tuple[tuple[str, str], ...]) -> None:
    """Print each kind of warning once, with the first file that has it."""
    counts = Counter(sentence for _, sentence in warnings)
    first = {sentence: path for path, sentence in reversed(warnings)}
    for sentence, count in counts.most_common(_SHOWN):
        others = f" and {count - 1} more" if count > 1 else ""
        print_line(f"warning: {first[sentence]}{others}: {sentence}")
    if len(counts) > _SHOWN:
        print_line(f"warning: {len(counts) - _SHOWN} more kinds (see --json)")
