"""What is shown of a round that is followed."""

from __future__ import annotations

from deploy.follow import with_time_left


def test_a_long_training_has_hours_left_as_on_the_console() -> None:
    assert with_time_left("training, step 3 of 900", 9000.0) == "training, step 3 of 900 · 2.5 h left"
    assert with_time_left("training, step 0 of 900", None) == "training, step 0 of 900"
