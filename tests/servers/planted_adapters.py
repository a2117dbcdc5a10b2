"""Adapters that no server may load: what was done to each before it was frozen, so its digest is right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from shared.adapters.contract import CONTRACT_FILE
from tests.shared.adapters.keys import sign

Plant = Callable[[Path], None]


def planted(private_key: Path, another_key: Path) -> dict[str, tuple[Plant, str]]:
    """By name: what is done to the folder, and what is said of it."""

    def tampered(folder: Path) -> None:
        sign(folder, private_key)
        weights = folder / "adapter_model.safetensors"
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)

    def labels_swapped(folder: Path) -> None:
        sign(folder, private_key)
        file = folder / CONTRACT_FILE
        contract = json.loads(file.read_text())
        first, second, *_ = contract["labels"]
        first["label"], second["label"] = second["label"], first["label"]
        file.write_text(json.dumps(contract))

    def pickled(folder: Path) -> None:
        (folder / "adapter_model.bin").write_bytes(b"\x80\x04.")

    return {
        "unsigned": (lambda folder: None, "is not signed, and ADAPTERS_PUBLIC_KEY asks for it"),
        "signed by another": (
            lambda folder: sign(folder, another_key),
            "signed by a key that ADAPTERS_PUBLIC_KEY does not hold",
        ),
        "one bit of its weights changed": (tampered, "is not what was signed"),
        "its labels swapped": (labels_swapped, "is not what was signed"),
        "with a pickle": (pickled, "holds adapter_model.bin. Weights are safetensors only"),
    }


PLANTED = (
    "unsigned",
    "signed by another",
    "one bit of its weights changed",
    "its labels swapped",
    "with a pickle",
)
