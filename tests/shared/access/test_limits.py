"""How much may be asked: pure, by a clock that the test moves."""

from __future__ import annotations

from shared.access.limits import Exceeded, Limit, Limits, What
from shared.access.token_bucket import TokenBucket

FREE = TokenBucket(0, 1)


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def limits(
    requests: TokenBucket = FREE, bytes: TokenBucket = FREE, in_flight: int = 0
) -> tuple[Limits, Clock]:
    clock = Clock()
    return Limits(Limit(requests, bytes, in_flight), clock), clock


def test_a_burst_passes_and_then_so_many_a_second() -> None:
    all_, clock = limits(TokenBucket(2, 4))
    assert [all_.enter("a", 0) for _ in range(4)] == [None] * 4
    assert all_.enter("a", 0) == Exceeded(What.REQUESTS, 0.5)
    clock.seconds += 0.5
    assert all_.enter("a", 0) is None
    assert all_.enter("a", 0) == Exceeded(What.REQUESTS, 0.5)


def test_who_comes_again_when_told_to_comes_in() -> None:
    all_, clock = limits(TokenBucket(0.125, 1), TokenBucket(64, 128))
    assert all_.enter("a", 1024) is None
    while exceeded := all_.enter("a", 1):
        clock.seconds += exceeded.seconds
    assert clock.seconds - 1000 <= 16, "1024 bytes at 64 a second are 16 s, a burst of 128 less"


def test_what_is_refused_costs_nothing() -> None:
    all_, clock = limits(TokenBucket(1, 1))
    assert all_.enter("a", 0) is None
    for _ in range(1000):
        assert all_.enter("a", 0) is not None
    clock.seconds += 1
    assert all_.enter("a", 0) is None


def test_rest_gives_no_more_than_a_burst() -> None:
    all_, clock = limits(TokenBucket(1, 2))
    all_.enter("a", 0)
    clock.seconds += 1e6
    assert [all_.enter("a", 0) is None for _ in range(3)] == [True, True, False]


def test_a_body_larger_than_the_burst_passes_and_the_next_waits_for_it() -> None:
    all_, clock = limits(bytes=TokenBucket(64, 128))
    assert all_.enter("a", 1024) is None
    assert all_.enter("a", 1) == Exceeded(What.BYTES, 14.0 + 1 / 64)
    clock.seconds += 14.0 + 1 / 64
    assert all_.enter("a", 1) is None


def test_bytes_that_come_unannounced_count_too() -> None:
    all_, _ = limits(bytes=TokenBucket(64, 128))
    assert all_.enter("a", 0) is None
    all_.draw("a", 128)
    exceeded = all_.enter("a", 0)
    assert exceeded is not None
    assert exceeded.what is What.BYTES


def test_so_many_are_under_way_and_no_more() -> None:
    all_, _ = limits(in_flight=2)
    assert [all_.enter("a", 0) for _ in range(2)] == [None] * 2
    assert all_.enter("a", 0) == Exceeded(What.IN_FLIGHT, 1.0)
    all_.leave("a")
    assert all_.enter("a", 0) is None


def test_one_takes_nothing_from_another() -> None:
    all_, _ = limits(TokenBucket(1, 1), TokenBucket(1, 1), 1)
    assert all_.enter("a", 1) is None
    assert all_.enter("a", 1) is not None
    assert all_.enter("b", 1) is None


def test_without_limits_everything_passes() -> None:
    all_, _ = limits()
    assert not any(all_.enter("a", 1 << 30) for _ in range(10_000))


def test_a_request_about_several_comes_in_for_all_of_them_or_for_none() -> None:
    all_, clock = limits(TokenBucket(1, 2), TokenBucket(64, 128))
    assert all_.enter_all({"noisy": 1024, "quiet": 1}) is None
    said = all_.enter_all({"quiet": 1, "noisy": 1})
    assert said is not None
    assert (said[0], said[1].what) == ("noisy", What.BYTES)
    assert all_.enter("quiet", 0) is None, "it was not counted the second time"
    assert all_.enter("quiet", 0) == Exceeded(What.REQUESTS, 1.0)
    clock.seconds += said[1].seconds
    assert all_.enter_all({"noisy": 1}) is None
