"""
The admin routes for the index: builds, their progress as events, snapshots and going back to one. Transport alone.
"""

# No postponed annotations here: the framework reads them.
from collections.abc import AsyncIterator
from typing import Annotated

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi import Path as InPath
from starlette.responses import StreamingResponse

from index.errors import NoSnapshot, SnapshotCorrupt, SnapshotUnsupported
from index.jobs import JobRecord
from index.snapshot import open_snapshot
from index.store import IndexDir
from ingest.errors import AppError
from service.admin_answers import NO_STORE, admin_json, answers, body_of, read_json
from service.admin_examples import BUILD, ROLLBACK
from service.admin_schemas import (
    AdminSnapshotOut,
    BuildList,
    BuildOptions,
    BuildOut,
    RollbackOut,
    RollbackRequest,
    SnapshotList,
)
from service.builds import Builds
from service.engines import opened_index
from service.errors import RequestInvalid, SnapshotGone, SnapshotUnusable
from service.runtime import Service, check_model

BuildId = Annotated[str, InPath(description="As `id` of a build.", examples=[BUILD["id"]])]


def add_admin_index(app: FastAPI, service: Service, builds: Builds) -> None:
    """Add the routes under /v1/admin for builds and snapshots."""
    _add_start(app, service, builds)
    _add_builds(app, builds)
    _add_events(app, service, builds)
    _add_snapshots(app, service)
    _add_rollback(app, service)


def _add_start(app: FastAPI, service: Service, builds: Builds) -> None:
    @app.post(
        "/v1/admin/builds",
        operation_id="admin_start_build",
        summary="Build the index",
        status_code=202,
        responses=answers(BuildOut, (409, 413, 415, 422, 507), success=202, description="It is under way."),
        openapi_extra=body_of(BuildOptions, {"refuse_failures": False}, is_required=False),
    )
    async def post_admin_build(request: Request) -> Response:
        """
        Start a build in a process of its own; questions go on being answered from the live snapshot.

        One build at a time, whoever started it: 409 names it. Where `admin_gate` is set, the new index is published
        only if its answers hold their floors.
        """
        options = await read_json(request, BuildOptions, service.settings, is_optional=True)
        record = await anyio.to_thread.run_sync(lambda: builds.start(refuse_failures=options.refuse_failures))
        return admin_json(BuildOut.from_record(record), 202, {"location": f"/v1/admin/builds/{record.id}"})


def _add_builds(app: FastAPI, builds: Builds) -> None:
    @app.get(
        "/v1/admin/builds",
        operation_id="admin_list_builds",
        summary="List the last builds",
        responses=answers(BuildList, ()),
    )
    def get_admin_builds() -> Response:
        """List the last 20 builds that were asked for over HTTP, newest first, without their reports."""
        found = (record.model_copy(update={"report": None}) for record in builds.book.recent())
        return admin_json(BuildList(builds=tuple(BuildOut.from_record(record) for record in found)))

    @app.get(
        "/v1/admin/builds/{build_id}",
        operation_id="admin_get_build",
        summary="One build: progress and report",
        responses=answers(BuildOut, (404, 422)),
    )
    def get_admin_build(build_id: BuildId) -> Response:
        """Say how far a build is, or what came of it; any serving process knows, also after a restart."""
        return admin_json(BuildOut.from_record(builds.find(build_id)))

    @app.delete(
        "/v1/admin/builds/{build_id}",
        operation_id="admin_cancel_build",
        summary="Cancel a build",
        status_code=202,
        responses=answers(
            BuildOut, (404, 422, 507), success=202, description="It stops at its next step; the live index stays."
        ),
    )
    def delete_admin_build(build_id: BuildId) -> Response:
        """Ask a build to stop at its next step; one that has ended stays as it is, published or not."""
        return admin_json(BuildOut.from_record(builds.cancel(build_id)), 202)


def _add_events(app: FastAPI, service: Service, builds: Builds) -> None:
    documented = answers(None, (404, 422))
    documented[200]["content"] = {
        "text/event-stream": {
            "schema": {"type": "string"},
            "example": 'id: 12\nevent: progress\ndata: {"id": "...", "state": "running", "phase": "embed"}\n\n',
        }
    }

    @app.get(
        "/v1/admin/builds/{build_id}/events",
        operation_id="admin_follow_build",
        summary="Follow a build",
        response_class=StreamingResponse,
        responses=documented,
        openapi_extra={
            "parameters": [
                {
                    "name": "Last-Event-ID",
                    "in": "header",
                    "required": False,
                    "description": "The last event that was seen; what came after is sent.",
                    "schema": {"type": "string"},
                    "example": "12",
                }
            ]
        },
    )
    async def get_admin_build_events(request: Request, build_id: BuildId) -> Response:
        """
        Send the build's record as server-sent events whenever it changes, at most four times a second.

        Every event holds the whole state, so that one that is missed is no loss. `progress` events are followed by one
        `end` event, then the stream ends. Comments come between as a sign of life. A stream that ends without an `end`
        event is to be asked for again: the serving process was stopped.
        """
        seen = request.headers.get("last-event-id", "").strip() or "0"
        if not (seen.isascii() and seen.isdecimal() and len(seen) < 10):
            raise RequestInvalid("is not the id of an event", where="Last-Event-ID", fix="send the id last seen")
        await anyio.to_thread.run_sync(builds.find, build_id)
        return StreamingResponse(
            _events(builds.follow(build_id, int(seen), service.draining.is_set)),
            media_type="text/event-stream",
            headers={**NO_STORE, "x-accel-buffering": "no"},
        )


async def _events(records: AsyncIterator[JobRecord | None]) -> AsyncIterator[str]:
    async for record in records:
        yield ": still there\n\n" if record is None else event_of(record)


def event_of(record: JobRecord) -> str:
    """Return a record as one server-sent event."""
    kind = "progress" if record.is_under_way else "end"
    # JSON has no line ends of its own, so one data line holds it.
    return f"id: {record.revision}\nevent: {kind}\ndata: {BuildOut.from_record(record).model_dump_json()}\n\n"


def _add_snapshots(app: FastAPI, service: Service) -> None:
    @app.get(
        "/v1/admin/snapshots",
        operation_id="admin_list_snapshots",
        summary="List published states of the index",
        responses=answers(SnapshotList, ()),
    )
    def get_admin_snapshots() -> Response:
        """List what is published, newest first; what can't be used says why."""
        served = service.live.snapshot_id
        found = IndexDir(service.settings.index_dir).list_snapshots()
        return admin_json(SnapshotList(snapshots=tuple(AdminSnapshotOut.from_info(info, served) for info in found)))


def _add_rollback(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/admin/rollback",
        operation_id="admin_rollback",
        summary="Serve an older snapshot again",
        responses=answers(RollbackOut, (404, 409, 413, 415, 422, 503, 507)),
        openapi_extra=body_of(RollbackRequest, {"snapshot": ROLLBACK["current"]}),
    )
    async def post_admin_rollback(request: Request) -> Response:
        """
        Make another snapshot the live one, after proving that it can be served; the documents on disk stay as they are.

        Every file of it is held against its SHA-256 first, and its model against the service's.
        """
        asked = await read_json(request, RollbackRequest, service.settings)
        return admin_json(await anyio.to_thread.run_sync(_roll_back, service, asked.snapshot))


def _roll_back(service: Service, snapshot_id: str) -> RollbackOut:
    with opened_index(service.settings) as index_dir:
        return _roll_back_in(index_dir, service, snapshot_id)


def _roll_back_in(index_dir: IndexDir, service: Service, snapshot_id: str) -> RollbackOut:
    fix = "see GET /v1/admin/snapshots"
    try:
        previous = index_dir.current_id()
    except SnapshotCorrupt:
        previous = None  # going back to a whole snapshot is how that is mended
    try:
        if not index_dir.snapshot_path(snapshot_id).is_dir():
            raise NoSnapshot("there is no snapshot of that id", fix=fix)
        with open_snapshot(index_dir, snapshot_id) as snapshot:
            check_model(service.settings, snapshot)
        return RollbackOut(current=index_dir.rollback(snapshot_id), previous=previous)
    except NoSnapshot as error:
        raise SnapshotGone(
            "there is no snapshot of that id; old ones are deleted when new ones are published",
            where="snapshot",
            fix=fix,
        ) from error
    except SnapshotUnsupported as error:
        raise _unusable("was written in another format", error) from error
    except AppError as error:
        if error.code in ("writer_busy", "storage_failed", "engine_unreachable", "engine_refused"):
            raise
        raise _unusable("is damaged, or was made with another model", error) from error


def _unusable(reason: str, error: AppError) -> SnapshotUnusable:
    return SnapshotUnusable(
        f"it {reason}: {error.what}; the live one stays", where="snapshot", fix="choose another, or build again"
    )
