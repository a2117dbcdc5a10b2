"""What tests that train the tiny base model share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.services.retraining.tiny_base_model import tiny_base_model


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """So small a model is no work to share."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tiny base model's folder."""
    return tiny_base_model(tmp_path_factory.mktemp("base"))
