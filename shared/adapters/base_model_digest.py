"""Which weights a base model has, told by their values: for training and for a server the same."""

from __future__ import annotations

import hashlib
import json
from mmap import ACCESS_READ, mmap
from pathlib import Path

_LENGTH = 8  # bytes: how long the header is that follows, little-endian


def base_model_digest(folder: Path) -> str | None:
    """Over every tensor's name, type, shape and values, whatever files of safetensors they are shared out to.

    None where the folder has none, or where there is no folder: the base model is a hub's id. Raises OSError,
    and ValueError if a file is damaged.
    """
    tensors: dict[str, str] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= _tensors(file)
    if not tensors:
        return None
    return f"sha256:{hashlib.sha256(json.dumps(tensors, sort_keys=True).encode()).hexdigest()}"


def _tensors(file: Path) -> dict[str, str]:
    """Name → what it is."""
    with file.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as content:
        data = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
        header = json.loads(content[_LENGTH:data])
        header.pop("__metadata__", None)
        return {name: _said(told, content, data) for name, told in header.items()}


def _said(told: dict[str, object], content: mmap, data: int) -> str:
    """`data`: where in the file the values begin."""
    match told:
        case {"dtype": dtype, "shape": shape, "data_offsets": [int(start), int(end)]}:
            with memoryview(content)[data + start : data + end] as values:
                return f"{dtype} {shape} {hashlib.sha256(values).hexdigest()}"
    raise ValueError("a safetensors file is damaged")
