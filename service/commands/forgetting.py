"""`citewell forget`: a withdrawn document out of everything, with a receipt."""

from __future__ import annotations

from dataclasses import asdict

from index.build import BuildConfig
from index.forget import ForgetReceipt, forget_document
from index.model import PassageEmbedder
from service.commands.output import phase_progress, print_json, print_line, print_note
from service.engines import opened_index
from service.gate import dense_config
from service.problems import EXIT_FAILURE
from service.settings import Settings


def run_forget(document_id: str, settings: Settings, *, delete_file: bool, as_json: bool) -> int:
    """Forget a document and print the receipt; returns 1 when anything of it was found afterwards."""

    def embedder() -> PassageEmbedder:
        # Only a rebuild needs the model, and it takes seconds to load.
        from index.embed import SentenceTransformerEmbedder
        from index.model_files import find_model

        return SentenceTransformerEmbedder(find_model(settings.model))

    with phase_progress() as on_progress, opened_index(settings) as index_dir:
        receipt = forget_document(
            document_id,
            settings.corpus,
            index_dir,
            embedder,
            with_file=delete_file,
            config=BuildConfig(dense=dense_config(settings)),
            on_progress=on_progress,
        )
    if as_json:
        print_json({**asdict(receipt), "is_complete": receipt.is_complete})
    else:
        _print_receipt(receipt, settings)
    return 0 if receipt.is_complete else EXIT_FAILURE


def _print_receipt(receipt: ForgetReceipt, settings: Settings) -> None:
    print_line(f"forgotten: {receipt.document_id}, {receipt.forgotten_at}")
    if receipt.deleted_file:
        print_line("deleted: its file in the corpus folder")
    for snapshot in receipt.removed_snapshots:
        names = f" as {', '.join(snapshot.other_names)}" if snapshot.other_names else ""
        held = f"held {snapshot.n_passages} of its passages{names}"
        print_line(f"deleted: snapshot {snapshot.id}, {held if snapshot.n_passages is not None else snapshot.problem}")
    rebuilt = "rebuilt without it" if receipt.was_rebuilt else "was free of it"
    print_line(f"live: snapshot {receipt.live_snapshot}, {rebuilt}")
    print_line(
        f"removed: {receipt.n_passages} passages, {receipt.n_vectors} vectors; "
        f"of {receipt.n_links} ids only that they were withdrawn is kept"
    )
    if receipt.n_job_records:
        print_line(f"deleted: {receipt.n_job_records} records of builds over HTTP, as their reports name documents")
    for sentence in receipt.checked if receipt.is_complete else ():
        print_line(f"checked: {sentence}")
    for residue in receipt.residues:
        print_line(f"NOT REMOVED: {residue}")
    for document in receipt.also_in:
        print_line(f"still quoted: {document} holds some of the same words and was left alone")
    for note in receipt.notes:
        print_line(f"note: {note}")
    for failure in receipt.failures:
        print_line(f"note: the rebuild could not read {failure.path}: {failure.reason} ({failure.fix})")
    for place in receipt.beyond_reach:
        print_line(f"out of reach: {place}")
    print_note(
        f"running services let go of deleted snapshots at their next look for a new one, every {settings.refresh_s:g} s"
    )
