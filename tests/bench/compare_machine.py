"""What the figures depend on besides the code: processor, memory, kernel, versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

_PACKAGES = (
    "citewell",
    "txtai",
    "haystack-ai",
    "sentence-transformers",
    "transformers",
    "torch",
    "onnxruntime",
    "faiss-cpu",
    "tantivy",
    "numpy",
)
# Of the processor's flags, those that decide how fast a model is multiplied out.
_FLAGS = ("amx_bf16", "amx_int8", "avx512_bf16", "avx512_vnni", "avx_vnni", "avx512f", "avx2")


def machine() -> dict[str, str]:
    """Return what a reader needs to know of the machine; empty where the system does not tell."""
    lines = _lines("/proc/cpuinfo")
    flags = set(next((value for name, value in lines if name == "flags"), "").split())
    memory = next((value for name, value in _lines("/proc/meminfo") if name == "MemTotal"), "0 kB")
    return {
        "processor": next((value for name, value in lines if name == "model name"), platform.processor()),
        "instructions": " ".join(flag for flag in _FLAGS if flag in flags),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(memory.split()[0]) / 1e6:.0f} GB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Return the versions of the libraries that are measured; those that are not installed are left out."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _lines(path: str) -> list[tuple[str, str]]:
    try:
        text = Path(path).read_text("utf-8", "replace")
    except OSError:
        return []
    parts = (line.partition(":") for line in text.splitlines())
    return [(name.strip(), value.strip()) for name, _, value in parts]
