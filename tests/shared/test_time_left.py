"""What is said of the time that is left: by the console and by the command line alike."""

from __future__ import annotations

import pytest

from shared.time_left import time_left


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, ""), (12.4, "12 s left"), (96.0, "2 min left"), (9000.0, "2.5 h left")],
    ids=["unknown", "seconds", "minutes", "hours"],
)
def test_time_left_is_said_in_its_largest_unit(seconds: float | None, said: str) -> None:
    assert time_left(seconds) == said
