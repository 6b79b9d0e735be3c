"""Opens a model's weights and tokenizer with the libraries that read them. Build time only: it imports torch."""

from __future__ import annotations

import os
from typing import Any

from index.errors import ModelUnusable
from index.model_files import ModelFiles


def import_torch() -> Any:
    """
    Return torch, imported so that its threads sleep while they wait for each other.

    They spin by default, which on a machine with other work doubled the time of a build (median of two interleaved
    runs of 600 passages: 53 a second spinning, 97 sleeping).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    return torch


def load_model(files: ModelFiles) -> Any:
    """
    Return the sentence-transformers model, ready to run.

    Raises:
        ModelUnusable: the library can't load it.
    """
    # The library would look the folder up by name on a hub and draw a progress bar of its own.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import_torch()
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # the library's own gap
    try:
        model = SentenceTransformer(str(files.folder), device="cpu", local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelUnusable(
            f"sentence-transformers can't load it ({type(error).__name__})",
            where=str(files.folder),
            fix="use a complete folder saved by sentence-transformers",
        ) from error
    return model.eval()


def load_tokenizer(files: ModelFiles) -> Any:
    """
    Return the model's fast tokenizer without truncation and padding.

    Raises:
        ModelUnusable: tokenizer.json is missing or broken.
    """
    from tokenizers import Tokenizer

    path = files.folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception for every failure
        raise ModelUnusable(
            "missing or not a tokenizer file", where=str(path), fix="use a folder with a fast tokenizer"
        ) from error
    # The default model's file cuts and pads every text to 128.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
