"""What `/v1/health` says, as sent."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from index.manifest import DenseSearch
from service.examples import HEALTH
from service.schemas import SnapshotOut, _Model


class HealthSnapshot(SnapshotOut):
    """The snapshot that answers come from."""

    documents: int
    passages: int
    model: str
    dense: DenseSearch


class ReloadError(_Model):
    """Why a newly published snapshot was not taken."""

    code: str
    detail: str
    fix: str


class EngineHealth(_Model):
    """Where passages and vectors are kept, and whether it answered when it was last asked."""

    name: str = Field(description="local or milvus.")
    reachable: bool


class HealthJudge(_Model):
    """The judge that tells passages that answer from those on the subject alone."""

    in_use: bool = Field(description="Its word counts; else questions are decided without it, and a warning says why.")
    sha256: str = Field(description='Which judge; "" where there is none.')
    missed: int = Field(description="Questions that it was not through with in time, since the process started.")


class Health(_Model):
    """Whether the process lives, and whether it can answer. The status is 503 while `ready` is false."""

    model_config = ConfigDict(json_schema_extra={"examples": [HEALTH]})

    live: bool
    ready: bool
    version: str
    snapshot: HealthSnapshot | None
    engine: EngineHealth
    judge: HealthJudge | None
    warnings: tuple[str, ...]
    last_reload_error: ReloadError | None
