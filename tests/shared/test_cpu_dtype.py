from __future__ import annotations

import pytest

from shared import cpu_dtype as module
from shared.cpu_dtype import cpu_dtype


@pytest.fixture(autouse=True)
def _no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNELOOP_DTYPE", raising=False)


@pytest.mark.parametrize(("computes", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_the_dtype_is_what_the_cpu_computes_in(
    monkeypatch: pytest.MonkeyPatch, computes: bool, dtype: str
) -> None:
    monkeypatch.setattr(module, "_computes_in_bfloat16", lambda: computes)
    assert cpu_dtype() == dtype


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_environment_overrides_the_cpu(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    monkeypatch.setenv("TUNELOOP_DTYPE", dtype)
    assert cpu_dtype() == dtype


def test_a_dtype_that_is_neither_is_an_error_that_says_which_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TUNELOOP_DTYPE", "float16")
    with pytest.raises(ValueError, match="bfloat16, float32"):
        cpu_dtype()


def test_this_cpu_can_be_asked() -> None:
    assert cpu_dtype() in ("bfloat16", "float32")
