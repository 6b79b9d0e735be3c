"""
The calibration file: reading, writing, and holding it against the index it is to be used with. Fits nothing.

It holds numbers and fingerprints and no question's text. The file that comes with Citewell is for the default model;
an index of another model is answered with a documented fallback and a warning, until the operator makes a calibration
of their own (`citewell calibrate`) and names it in the setting `calibration`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index.encoder import Precision
from index.files import write_atomically
from index.fuse import FusionConfig
from index.manifest import Manifest
from service.abstain import AbstainModel
from service.decision_features import (
    PASSAGE_FEATURES,
    FeatureProvider,
    JudgeFeatures,
    RetrievalFeatures,
    SimilarityFeature,
)
from service.errors import CalibrationInvalid
from service.logistic import Logistic

CALIBRATION_VERSION = 1
SHIPPED = Path(__file__).parent / "data" / "calibration.json"
# What a calibration file may name.
PROVIDERS: dict[str, FeatureProvider] = {p.name: p for p in (RetrievalFeatures(), SimilarityFeature(), JudgeFeatures())}

_FIX = "make a calibration with this version and index: citewell calibrate QUESTIONS.jsonl"
_MAX_FILE_BYTES = 1_000_000
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class LogisticPart(_Part):
    """One logistic model; a weight for each feature, by name."""

    intercept: Finite
    weights: dict[str, Finite]


class ModelPart(_Part):
    """The embedding model that the features were made with."""

    name: str
    fingerprint: Sha256


class DataPart(_Part):
    """One file of questions asked of one index. `n_skipped`: neither answerable nor of an unanswerable kind."""

    file: str
    sha256: Sha256
    corpus_sha256: str
    n_answerable: int
    n_near: int
    n_far: int
    n_skipped: int


class EstimatePart(_Part):
    """A measure on held-out folds with its 95 % interval."""

    value: Finite
    low: Finite
    high: Finite
    n: int


class FitPart(_Part):
    """
    Weights over the features of some providers; `metrics` are on held-out folds, by library where a name has a slash.
    """

    providers: list[str] = Field(min_length=1)
    answer: LogisticPart
    topic: LogisticPart | None
    operating_point: Share
    metrics: dict[str, EstimatePart | None]


class JudgedPart(FitPart):
    """The same with a judge, and the weights of the probability that one passage answers."""

    judge_sha256: Sha256
    passage: LogisticPart


class CalibrationFile(FitPart):
    """What the file holds: a fit without the judge, and the one with it that counts where the judge has read."""

    version: int
    model: ModelPart
    query_encoder: Precision = "float32"  # of the questions that it was fitted on
    settings_sha256: Sha256
    data: list[DataPart]
    penalty: Finite
    n_folds: int
    judged: JudgedPart | None = None


def settings_sha256(manifest: Manifest, fusion: FusionConfig) -> str:
    """Return a fingerprint of the choices, besides the model, that move the features: splitting and fusion."""
    values = {"split": manifest.split, "fusion": asdict(fusion)}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def write_calibration(path: Path, calibration: CalibrationFile) -> None:
    """
    Write the file.

    Raises:
        CalibrationInvalid: it can't be written.
    """
    try:
        write_atomically(path, (json.dumps(calibration.model_dump(), indent=2) + "\n").encode())
    except OSError as error:
        fix = "name a file in a folder that can be written"
        raise CalibrationInvalid(f"can't be written ({error.strerror})", where=str(path), fix=fix) from error


def read_calibration(path: Path) -> tuple[CalibrationFile, str]:
    """
    Return the file's content and its SHA-256.

    Raises:
        CalibrationInvalid: missing, damaged, of another version, or made with features that this version lacks.
    """
    where = str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CalibrationInvalid(f"can't be read ({error.strerror})", where=where, fix=_FIX) from error
    try:
        value = json.loads(data) if len(data) <= _MAX_FILE_BYTES else None
    except (ValueError, RecursionError) as error:
        raise CalibrationInvalid("is not JSON", where=where, fix=_FIX) from error
    version = value.get("version") if isinstance(value, dict) else None
    if version != CALIBRATION_VERSION:
        what = f"is of version {version}, this service reads {CALIBRATION_VERSION}"
        raise CalibrationInvalid(what if version else "is no calibration", where=where, fix=_FIX)
    try:
        found = CalibrationFile.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise CalibrationInvalid(str(first["msg"]), where=f"{where}, field {field}", fix=_FIX) from None
    _check_features(found, where)
    return found, hashlib.sha256(data).hexdigest()


def _check_features(calibration: CalibrationFile, where: str) -> None:
    _check_fit(calibration, where, "")
    if calibration.judged is not None:
        _check_fit(calibration.judged, where, "judged.")
        _check_weights(calibration.judged.passage, PASSAGE_FEATURES, f"{where}, field judged.passage")


def _check_fit(calibration: FitPart, where: str, inside: str) -> None:
    unknown = [name for name in calibration.providers if name not in PROVIDERS]
    if unknown:
        what = f"was fitted with {', '.join(unknown)}, this version has {', '.join(sorted(PROVIDERS))}"
        raise CalibrationInvalid(what, where=f"{where}, field {inside}providers", fix=_FIX)
    names = [name for provider in calibration.providers for name in PROVIDERS[provider].signs]
    for field, part in (("answer", calibration.answer), ("topic", calibration.topic)):
        if part is not None:
            _check_weights(part, names, f"{where}, field {inside}{field}")


def _check_weights(part: LogisticPart, names: Sequence[str], where: str) -> None:
    if sorted(part.weights) != sorted(names):
        differing = ", ".join(sorted(set(part.weights) ^ set(names)))
        what = f"the weights are not those of its features: {differing}"
        raise CalibrationInvalid(what, where=f"{where}.weights", fix=_FIX)


def to_model(calibration: CalibrationFile, sha256: str = "", judge_sha256: str = "") -> AbstainModel:
    """
    Return the model that a calibration describes.

    Args:
        judge_sha256: of the judge that there is; the fit with a judge is used only if it was made with this one.
    """
    plain = _fitted(calibration, sha256)
    judged = calibration.judged
    if judged is None or judged.judge_sha256 != judge_sha256:
        return plain
    return replace(
        _fitted(judged, sha256),
        passage=_logistic(judged.passage, PASSAGE_FEATURES),
        judge_sha256=judge_sha256,
        without_judge=plain,
    )


def _fitted(part: FitPart, sha256: str) -> AbstainModel:
    providers = tuple(PROVIDERS[name] for name in part.providers)
    names = [name for provider in providers for name in provider.signs]
    topic = None if part.topic is None else _logistic(part.topic, names)
    return AbstainModel(providers, _logistic(part.answer, names), topic, part.operating_point, sha256)


def _logistic(part: LogisticPart, names: Sequence[str]) -> Logistic:
    return Logistic(part.intercept, tuple(part.weights[name] for name in names))


def abstain_model(
    path: Path | None,
    manifest: Manifest,
    fusion: FusionConfig = FusionConfig(),
    shipped: Path = SHIPPED,
    loaded: tuple[CalibrationFile, str] | None = None,
    judge_sha256: str = "",
    precision: Precision = "float32",
) -> tuple[AbstainModel, tuple[str, ...]]:
    """
    Return the model for one snapshot, and what an operator should know about it.

    Args:
        path: the operator's calibration; None takes the shipped one, or the fallback where that doesn't fit.
        loaded: what was read from it, with its SHA-256, by a process that keeps watching it.
        judge_sha256: of the judge that this process has, "" for none.
        precision: in which questions are embedded.

    Raises:
        CalibrationInvalid: the operator's file is not valid, or belongs to another embedding model.
    """
    calibration, sha256 = loaded or _read_cached(path or shipped)
    fitted_with, here = calibration.model, manifest.model
    if fitted_with.fingerprint != here.fingerprint:
        difference = (
            f"the calibration was fitted with model {fitted_with.name} ({fitted_with.fingerprint[:12]}), the index was "
            f"built with {here.name} ({here.fingerprint[:12]})"
        )
        if path is not None:
            fix = "make one for this index (citewell calibrate QUESTIONS.jsonl), or unset the setting calibration"
            raise CalibrationInvalid(difference, where=str(path), fix=fix)
        return AbstainModel(), (f"confidence is not calibrated: {difference}; run citewell calibrate QUESTIONS.jsonl",)
    model = to_model(calibration, sha256, judge_sha256)
    warnings = []
    if calibration.query_encoder != precision:
        fitted = f"confidence was calibrated with query_encoder {calibration.query_encoder}, it is {precision}"
        warnings.append(f"{fitted}; run citewell calibrate again, or set it back")
    if calibration.settings_sha256 != settings_sha256(manifest, fusion):
        warnings.append(
            "confidence was calibrated with other settings of splitting or fusion; run citewell calibrate again"
        )
    if judge_sha256 and not model.judge_sha256:
        which = "with another" if calibration.judged else "without a"
        warnings.append(
            f"the calibration was fitted {which} judge, so the judge is not asked; run citewell calibrate again"
        )
    return model, tuple(warnings)


@lru_cache(maxsize=8)
def _read_cached(path: Path) -> tuple[CalibrationFile, str]:
    # Once a command; a serving process watches its files (`service.operator_files`), the shipped one never changes.
    return read_calibration(path)
