"""`citewell verify`, `snapshots` and `rollback`: looking after what was built."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from index.dense_config import describe_dense
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.verify import verify_snapshot
from service.commands.output import print_json, print_line, print_note, print_table, progress
from service.engines import opened_index
from service.problems import EXIT_FAILURE
from service.settings import Settings


def run_verify(snapshot_id: str | None, settings: Settings, *, as_json: bool) -> int:
    """Prove a whole snapshot again; returns 1 when anything does not hold."""
    # Unhashed, so that a changed file is listed beside whatever else is wrong.
    with (
        opened_index(settings) as index_dir,
        open_snapshot(index_dir, snapshot_id, check_sha256=False) as snapshot,
        progress("proving") as on_progress,
    ):
        report = verify_snapshot(snapshot, on_progress)
    if as_json:
        print_json({**asdict(report), "is_sound": report.is_sound})
    else:
        print_line(
            f"snapshot {report.snapshot_id}: {report.documents} documents, {report.passages} passages, "
            f"{report.sentences} sentences, {report.files} files"
        )
        for problem in report.problems:
            print_line(f"{problem.rule}: {problem.where}: {problem.what}")
        if report.is_sound:
            print_line("every quote is word for word in its document, every file is as it was sealed")
        else:
            print_line(f"{report.n_problems} things do not hold, {len(report.problems)} shown; build again")
    return 0 if report.is_sound else EXIT_FAILURE


def run_snapshots(settings: Settings, *, as_json: bool) -> int:
    """List what was published, newest first; returns the exit code."""
    found = IndexDir(settings.index_dir).list_snapshots()
    if as_json:
        print_json(
            [
                {
                    "id": info.id,
                    "is_current": info.is_current,
                    "created_at": info.manifest.created_at if info.manifest else None,
                    "counts": info.manifest.counts.model_dump() if info.manifest else None,
                    "model": info.manifest.model.model_dump() if info.manifest else None,
                    "dense": info.manifest.dense.model_dump() if info.manifest else None,
                    "size_bytes": info.size_bytes,
                    "report": info.manifest.report if info.manifest else None,
                    "problem": info.problem,
                }
                for info in found
            ]
        )
        return 0
    if not found:
        print_note(f"no snapshot in {settings.index_dir}: make one with `citewell build`")
        return 0
    print_table(
        ("snapshot", "current", "documents", "passages", "changes", "model", "dense index", "MB", "problem"),
        [
            (
                info.id,
                "yes" if info.is_current else "",
                str(info.manifest.counts.documents) if info.manifest else "",
                str(info.manifest.counts.passages) if info.manifest else "",
                _changes(info.manifest.report) if info.manifest else "",
                info.manifest.model.name if info.manifest else "",
                describe_dense(info.manifest.dense) if info.manifest else "",
                f"{info.size_bytes / 1e6:.1f}",
                info.problem,
            )
            for info in found
        ],
    )
    return 0


def _changes(report: dict[str, Any]) -> str:
    """Return what a build changed, such as "+2 ~1 -3": added, changed, removed."""
    added, changed, removed = (report.get(f"n_{kind}", 0) for kind in ("added", "changed", "removed"))
    parts = ((f"+{added}", added), (f"~{changed}", changed), (f"-{removed}", removed))
    return " ".join(text for text, n in parts if n)


def run_rollback(snapshot_id: str | None, settings: Settings, *, as_json: bool) -> int:
    """Make an older snapshot the live one; returns the exit code."""
    with opened_index(settings) as index_dir:
        chosen = index_dir.rollback(snapshot_id)
    if as_json:
        print_json({"current": chosen})
    else:
        print_line(f"current is now {chosen}; running services follow by themselves")
    return 0
