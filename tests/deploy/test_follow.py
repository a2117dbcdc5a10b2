"""What is shown of a round that is followed."""

from __future__ import annotations

from datetime import datetime

from deploy.follow import with_times


def test_a_long_training_has_hours_left_as_on_the_console() -> None:
    assert with_times("training, step 3 of 900", 9000.0, None) == "training, step 3 of 900 · 2.5 h left"
    assert with_times("training, step 0 of 900", None, None) == "training, step 0 of 900"


def test_what_stands_still_says_since_when() -> None:
    since = datetime(2026, 11, 26, 14, 2).astimezone()
    assert with_times("waits: down", None, since) == ("waits: down · since 2026-11-26 14:02")
