"""Which floating-point type a model gets on this CPU, for the trainer and the laptop's model server alike."""

from __future__ import annotations

import os
from typing import Literal

DType = Literal["bfloat16", "float32"]


def cpu_dtype() -> DType:
    """The name of a torch dtype: bfloat16 where the CPU computes in it, else float32.

    Without such instructions torch emulates bfloat16, hundreds of times slower than float32. The environment
    variable TUNELOOP_DTYPE overrides the choice. Raises ValueError if it names anything else.
    """
    wanted = os.environ.get("TUNELOOP_DTYPE")
    if wanted is None:
        return "bfloat16" if _computes_in_bfloat16() else "float32"
    match wanted:
        case "bfloat16":
            return "bfloat16"
        case "float32":
            return "float32"
    raise ValueError(f"TUNELOOP_DTYPE is {wanted!r}; it may be bfloat16, float32 or left out")


def _computes_in_bfloat16() -> bool:
    import torch

    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
