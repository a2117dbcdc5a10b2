"""What came lately is known, in bounded memory."""

from __future__ import annotations

import tracemalloc

from services.prediction_logging.remembered import Remembered


def test_other_content_under_a_key_is_noticed_and_the_same_is_not() -> None:
    seen = Remembered(100, seconds=10)
    seen.keep(hash("a"), hash("content"), 0.0)
    assert not seen.differs(hash("a"), hash("content"))
    assert seen.differs(hash("a"), hash("other"))
    assert not seen.differs(hash("b"), hash("other"))


def test_the_first_content_stays() -> None:
    seen = Remembered(100, seconds=10)
    for content in ("first", "second"):
        seen.keep(hash("a"), hash(content), 0.0)
    assert seen.differs(hash("a"), hash("second"))


def test_a_key_is_known_for_its_time_at_least_and_not_for_ever() -> None:
    seen = Remembered(100, seconds=10)
    seen.keep(hash("a"), hash("content"), 100.0)
    seen.keep(hash("b"), hash("content"), 109.9)
    assert seen.differs(hash("a"), hash("other"))
    seen.keep(hash("c"), hash("content"), 110.1)
    assert seen.differs(hash("a"), hash("other"))
    seen.keep(hash("d"), hash("content"), 120.2)
    assert not seen.differs(hash("a"), hash("other"))
    assert seen.differs(hash("c"), hash("other"))


def test_no_more_is_held_than_is_said_and_half_of_it_at_least() -> None:
    seen = Remembered(1000, seconds=1e9)
    for number in range(12_345):
        seen.keep(hash(number), hash("content"), 0.0)
        assert len(seen) <= 1000
    assert all(seen.differs(hash(number), hash("other")) for number in range(12_345 - 500, 12_345))


def test_an_id_costs_the_bytes_that_the_setting_says() -> None:
    seen = Remembered(100_000, seconds=1e9)
    tracemalloc.start()
    for number in range(100_000):
        seen.keep(hash(("prediction", "tickets", str(number))), hash((str(number), 0.5)), 0.0)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / len(seen) < 160
