"""What a training runs on."""

from __future__ import annotations

from typing import Literal

from shared.fields import Part

Kind = Literal["cpu", "cuda"]


class Device(Part):
    kind: Kind = "cpu"
    dtype: Literal["bfloat16", "float32"] = "float32"
    """What it computes in; adapters and their optimiser are float32 everywhere."""
