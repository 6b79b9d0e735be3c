"""The JSON of a passage that was cited and has changed. Conversion only; decides nothing."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import ConfigDict, Field

from service.examples import CHANGED_PASSAGE
from service.schemas import DocumentOut, PassageReply, SnapshotOut, _Model


class ChangedPassageReply(_Model):
    """A passage whose document is there and whose words are not; `current` is not what was cited."""

    model_config = ConfigDict(json_schema_extra={"examples": [CHANGED_PASSAGE]})

    state: Literal["changed"]
    id: str = Field(description="As asked for. No passage has it any more.")
    since: date | None = Field(description="Day of the change (UTC), where it is known.")
    document: DocumentOut = Field(description="Where the words stood.")
    current: PassageReply | None = Field(description="The passage that stands there now; null where it is not known.")
    snapshot: SnapshotOut
