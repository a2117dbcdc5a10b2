"""Base models as `config.json` describes them: the demo's, and one of seven billion parameters."""

from __future__ import annotations

from shared.training.base_model_shape import BaseModelShape

SMOLLM2 = BaseModelShape(
    layers=30,
    hidden=576,
    intermediate=1536,
    queries=9 * 64,
    keys=3 * 64,
    heads=9,
    vocabulary=49152,
    tied_embeddings=True,
)
LLAMA_7B = BaseModelShape(
    layers=32,
    hidden=4096,
    intermediate=11008,
    queries=4096,
    keys=4096,
    heads=32,
    vocabulary=32000,
    tied_embeddings=False,
)
