"""The gap report over HTTP: its route and its schema. Counts nothing."""

# No postponed annotations here: the framework reads them.
from typing import Final

from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from service.admin_answers import answers
from service.gaps import GapCounts, GapReport
from service.runtime import Service
from service.settings import Settings

GAPS_PATH: Final = "/v1/admin/gaps"


_EXAMPLE: Final[dict[str, JsonValue]] = {
    "snapshot_id": "20260601T093012Z-7be13a02",
    "process": "5f0c2a9d41be7730",
    "processes": 2,
    "step": 10,
    "reset_after_h": 168.0,
    "off_topic_at_least": 30,
    "gaps": [
        {
            "at_least": 20,
            "passages": 14,
            "documents": [{"id": "guides/naloxone.md", "title": "How to use naloxone"}],
            "headings": ["After the dose"],
        }
    ],
}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class GapDocumentOut(_Model):
    """A document at the centre of a part of the library."""

    id: str
    title: str


class GapOut(_Model):
    """A part of the library near which questions found no answer."""

    at_least: int = Field(ge=0, description="Abstentions, rounded down to a multiple of `step`.")
    passages: int = Field(ge=0, description="How many the library has there.")
    documents: tuple[GapDocumentOut, ...] = Field(description="The most central ones.")
    headings: tuple[str, ...] = Field(description="Of the most central passages.")


class GapReportOut(_Model):
    """
    Where the library left questions unanswered, by parts of the library.

    Made from counts in one process's memory; no question is kept.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    snapshot_id: str
    process: str = Field(description="Each serving process counts for itself; this tells them apart. New at a restart.")
    processes: int = Field(ge=1, description="How many there are; add up the reports of different ones.")
    step: int = Field(ge=10, description="Every number of abstentions is a multiple of this.")
    reset_after_h: float = Field(description="Hours after which counting begins again.")
    off_topic_at_least: int = Field(ge=0, description="Abstentions on subjects that the library does not speak of.")
    gaps: tuple[GapOut, ...] = Field(description="Most abstentions first; parts with fewer than `step` are left out.")


def open_gap_counts(settings: Settings) -> GapCounts | None:
    """Return what counts the abstentions of this process, None unless the operator wants it."""
    if not settings.gap_report:
        return None
    return GapCounts(step=settings.gap_report_step, reset_after_h=settings.gap_report_reset_h)


def gap_report(service: Service, counts: GapCounts) -> GapReportOut:
    """
    Return the report as it is sent.

    Raises:
        NoSnapshot: there is no library to have gaps.
    """
    with service.snapshot() as snapshot:
        return _report_out(counts.report(snapshot), service.settings)


def add_gap_report(app: FastAPI, service: Service, counts: GapCounts) -> None:
    """Add the route of the report; like everything under its prefix it needs an admin token (`service/guard.py`)."""

    @app.get(
        GAPS_PATH,
        operation_id="get_gaps",
        summary="What is asked for and not in the library",
        responses=answers(GapReportOut, (503,)),
    )
    def get_gaps() -> Response:
        """Tell near which parts of the library questions found no answer, in rounded numbers."""
        report = gap_report(service, counts)
        return Response(report.model_dump_json(), media_type="application/json", headers={"cache-control": "no-store"})


def _report_out(report: GapReport, settings: Settings) -> GapReportOut:
    return GapReportOut(
        snapshot_id=report.snapshot_id,
        process=report.process,
        processes=settings.workers,
        step=report.step,
        reset_after_h=settings.gap_report_reset_h,
        off_topic_at_least=report.off_topic_at_least,
        gaps=tuple(
            GapOut(
                at_least=gap.at_least,
                passages=gap.cluster.n_passages,
                documents=tuple(GapDocumentOut(id=name, title=title) for name, title in gap.cluster.documents),
                headings=gap.cluster.headings,
            )
            for gap in report.gaps
        ),
    )
