"""The JSON of parts of the health answer. Conversion only; decides nothing."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class EngineHealth(_Part):
    """Where passages and vectors are kept, and whether it answered when it was last asked."""

    name: str = Field(description="local or milvus.")
    reachable: bool


class ReloadError(_Part):
    """Why a newly published snapshot was not taken."""

    code: str
    detail: str
    fix: str
