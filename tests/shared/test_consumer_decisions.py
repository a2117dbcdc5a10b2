"""What consuming decides without a broker: what to commit, how long to wait, whose a workload is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from shared.backoff import pause_seconds
from shared.consumer import ConsumerRecord
from shared.consumer.dead_letter import dead_letter, reference
from shared.consumer.invalid_limit import InvalidLimit, InvalidSeen, TooManyInvalid
from shared.consumer.offsets import UNKNOWN, HandledOffsets
from shared.consumer.ownership import Ownership, lead_topic, partition_of
from shared.consumer.portion import Partition, next_portion
from shared.consumer.progress import Progress
from shared.consumer.retention import retention_used
from shared.consumer.sampling import Sampler
from shared.consumer.settings import ConsumerSettings
from shared.consumer.unknown_workload import UnknownWorkloads
from shared.consumer.waiting import Waiting, note_beside
from shared.events import CycleRequested, ModelPromoted, PredictionLogged, RollbackRequested
from shared.projections import Workloads
from tests.shared.consuming import added, logged

A, B = ("topic", 0), ("topic", 1)


def test_what_was_handled_is_due_until_it_is_committed() -> None:
    offsets = HandledOffsets()
    offsets.assign({A: (5, ""), B: (0, "")})
    assert offsets.due() == {}
    offsets.handled(A, 7)
    offsets.handled(A, 6)  # a repeat takes nothing back
    assert offsets.due() == {A: (7, "")}
    offsets.committed({A: (7, "")})
    assert offsets.due() == {}


def test_a_note_is_due_at_the_same_offset_until_it_is_committed_and_goes_with_the_next() -> None:
    offsets = HandledOffsets()
    offsets.assign({A: (5, ""), B: (3, "left by another process")})
    assert offsets.due() == {}
    offsets.note(A, "waits")
    assert offsets.due() == {A: (5, "waits")}
    offsets.committed({A: (5, "waits")})
    offsets.handled(A, 6)
    assert offsets.due() == {A: (6, "waits")}
    offsets.note(A, "")
    offsets.note(B, "")
    assert offsets.revoke([A, B]) == {A: (6, ""), B: (3, "")}
    offsets.note(A, "of no partition any more")
    assert offsets.due() == {}


def test_of_a_partition_whose_offset_is_unknown_nothing_is_committed_before_something_is_handled() -> None:
    offsets = HandledOffsets()
    offsets.assign({A: (UNKNOWN, "")})
    offsets.note(A, "waits")
    assert offsets.due() == {}
    offsets.handled(A, 8)
    assert offsets.due() == {A: (8, "waits")}


def test_what_waited_in_another_process_has_waited_since_then_and_no_longer_once_it_goes_on() -> None:
    earlier, later = (datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2))
    progress = Progress()
    progress.assign({A: (5, Waiting(earlier, "ValueError").to_note())})
    assert progress.due() == {}  # the note stays until something is told of it
    progress.waits(A, Waiting(later, "KeyError"))
    assert progress.due() == {A: (5, Waiting(earlier, "KeyError").to_note())}
    progress.waits(A, None)
    assert progress.due() == {A: (5, "")}
    progress.waits(A, Waiting(later, "KeyError"))
    assert progress.due() == {A: (5, Waiting(later, "KeyError").to_note())}
    progress.waits(A, Waiting(datetime.now(UTC), "brief"))
    assert progress.revoke([A]) == {A: (5, Waiting(later, "KeyError").to_note())}


def test_a_partition_that_was_revoked_gives_its_last_offsets_and_takes_no_more() -> None:
    offsets = HandledOffsets()
    offsets.assign({A: (0, ""), B: (0, "")})
    offsets.handled(A, 3)
    assert offsets.revoke([A, B]) == {A: (3, "")}
    offsets.handled(A, 9)
    offsets.committed({A: (9, "")})
    assert offsets.due() == {}
    offsets.assign({A: (3, "")})
    offsets.handled(A, 4)
    assert offsets.due() == {A: (4, "")}


def test_what_waits_is_read_back_from_its_note_and_nothing_else_is() -> None:
    waiting = Waiting(datetime(2026, 11, 24, 12, 0, 0, 123_000, tzinfo=UTC), "ConnectionError")
    assert Waiting.from_note(waiting.to_note()) == waiting
    assert len(Waiting(waiting.since, "é" * 10_000).to_note()) < 4096
    others = [
        None,
        "",
        "{}",
        "[]",
        "3",
        '{"since": "yesterday", "why": ""}',
        '{"since": "2026-11-24T12:00", "why": ""}',
    ]
    assert [Waiting.from_note(note) for note in others] == [None] * len(others)


class ReadTooFar:
    """As confluent-kafka gives a note whose end in memory is no text."""

    @property
    def metadata(self) -> str:
        return b"from python\xcd".decode()


def test_a_note_that_cannot_be_read_or_is_none_of_ours_is_no_note() -> None:
    ours = Waiting(datetime(2026, 11, 24, 12, tzinfo=UTC), "ConnectionError").to_note()
    assert note_beside(TopicPartition("t", 0, 5, metadata=ours)) == ours
    assert note_beside(TopicPartition("t", 0, 5, metadata="from another tool")) == ""
    assert note_beside(TopicPartition("t", 0, 5)) == ""
    assert note_beside(ReadTooFar()) == ""


def test_too_many_invalid_records_in_a_row_stop_the_partition() -> None:
    limit = InvalidLimit(most_in_a_row=3)
    seen = InvalidSeen().then([False] * 3, limit)
    with pytest.raises(TooManyInvalid, match="more than 3"):
        seen.then([False], limit)


def test_a_valid_record_ends_a_run_of_invalid_ones() -> None:
    seen = InvalidSeen(in_a_row=3).then([True, False, False, True, False], InvalidLimit(most_in_a_row=3))
    assert seen.in_a_row == 1


def test_too_great_a_share_of_invalid_records_stops_the_partition_though_good_ones_stand_between() -> None:
    limit = InvalidLimit(most_share=0.25)
    seen = InvalidSeen().then([True, True, True, True, False] * 4000, limit)
    with pytest.raises(TooManyInvalid, match="25%"):
        seen.then([True, True, False] * 4000, limit)
    assert seen.valid(100_000).then([False, True] * 400, limit)


def test_the_advice_of_a_limit_names_the_settings_that_let_it_go_on() -> None:
    said = str(InvalidLimit().passed("too many"))
    for name in ("most_invalid_in_a_row", "most_invalid_share"):
        assert name in ConsumerSettings.model_fields
        assert f"CONSUMER_{name.upper()}" in said


def test_records_to_set_aside_are_named_by_their_places() -> None:
    settings = ConsumerSettings(set_aside="a-v1/0@5, a-v1/0@7,b.v2/11@0")
    assert settings.unhandled() == {("a-v1", 0): {5, 7}, ("b.v2", 11): {0}}
    assert ConsumerSettings().unhandled() == {}
    for wrong in ("a-v1", "a-v1/0", "a-v1/0@x", "a v1/0@5"):
        with pytest.raises(ValueError, match="set_aside"):
            ConsumerSettings(set_aside=wrong)


def test_a_dead_letter_fits_whatever_the_record_was() -> None:
    at, topic = datetime(2026, 11, 24, tzinfo=UTC), PredictionLogged.topic
    headers = [("content-type", b"application/cloudevents+json"), ("trace", None)]
    whole = dead_letter(topic, "s", 1, 2, "why", at, b"value", b"key", headers)
    assert (whole.topic, whole.key, whole.value) == (topic.dead_letters, b"key", b"value")
    assert whole.headers["dead_letter_truncated"] == "false"
    assert whole.headers["content-type"] == "application/cloudevents+json"
    large = dead_letter(topic, "s", 1, 2, "why" * 5000, at, b"v" * 1_010_000, b"k" * 1_000_000, headers)
    assert large.headers["dead_letter_truncated"] == "true"
    size = len(large.value) + len(large.key or b"") + sum(map(len, [*large.headers, *large.headers.values()]))
    assert size < 950_000
    assert reference(whole).value == b""
    assert reference(whole).headers["dead_letter_truncated"] == "true"


def test_a_sampler_gives_a_few_at_once_then_a_few_a_second_and_counts_the_others() -> None:
    sampler = Sampler[int](most_a_second=5, most_at_once=3)
    taken = [number for number in range(100) if sampler.takes(number, now=1000)]
    assert taken == [0, 1, 2]
    assert sampler.left(now=1000) is None
    assert sampler.left(now=1001) == 99
    assert sampler.unseen() == 96
    assert sampler.left(now=1002) is None
    assert sampler.takes(100, now=1003)
    assert sampler.unseen() == 0


def test_what_is_kept_for_ever_never_uses_up_its_retention() -> None:
    assert retention_used(PredictionLogged.topic, 15 * 86400) == 0.5
    assert retention_used(ModelPromoted.topic, 1e9) == 0


def test_the_pause_grows_and_stays_below_the_poll_interval() -> None:
    pauses = [pause_seconds(failures) for failures in range(1, 40)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.5
    assert pauses[-1] == 60


def test_a_record_waits_ten_seconds_for_its_workload_and_no_longer() -> None:
    unknown = UnknownWorkloads(Workloads())
    assert unknown.seconds_to_wait(logged("p"), published_at=100, now=100.5) == 10
    assert unknown.seconds_to_wait(logged("p"), published_at=100, now=104) == 6.5
    assert unknown.seconds_to_wait(logged("p"), published_at=100, now=111) == 0


def test_a_name_that_never_comes_costs_one_wait_and_a_fresh_record_of_it_another() -> None:
    unknown = UnknownWorkloads(Workloads())
    assert unknown.seconds_to_wait(logged("old"), published_at=0, now=1000) == 10
    assert unknown.seconds_to_wait(logged("old-too"), published_at=1, now=1010) == 0
    assert unknown.seconds_to_wait(logged("fresh"), published_at=1012, now=1012) == 10


def test_a_clock_that_is_ahead_makes_no_one_wait_longer() -> None:
    unknown = UnknownWorkloads(Workloads())
    assert unknown.seconds_to_wait(logged("p"), published_at=10_000, now=100) == 10


def test_a_known_workload_or_a_service_that_need_know_none_waits_for_nothing() -> None:
    workloads = Workloads()
    workloads.apply(added("tickets"))
    assert UnknownWorkloads(workloads).seconds_to_wait(logged("p"), 0, 1000) is None
    assert UnknownWorkloads(None).seconds_to_wait(logged("p"), 0, 1000) is None


def test_a_record_waits_for_a_newer_revision_of_its_workload_and_is_then_judged_by_what_is_known() -> None:
    workloads = Workloads()
    workloads.apply(added("tickets"))
    unknown = UnknownWorkloads(workloads)
    newer = logged("p").model_copy(update={"revision": 2})
    assert unknown.seconds_to_wait(newer, published_at=100, now=100.5) == 10
    assert unknown.seconds_to_wait(newer, published_at=100, now=111) is None
    workloads.apply(added("tickets").model_copy(update={"revision": 2}))
    assert unknown.seconds_to_wait(newer, published_at=200, now=200) is None
    assert unknown.seconds_to_wait(logged("p"), published_at=200, now=200) is None


def test_a_process_owns_the_workloads_of_its_partitions() -> None:
    ownership, changes = Ownership(), list[int]()
    ownership.on_change(lambda: changes.append(1))
    ownership.goes_by(lead_topic([ModelPromoted, PredictionLogged, CycleRequested, RollbackRequested]))
    ownership.partition_count(3)
    assert not ownership.owns("tickets")
    place = (CycleRequested.topic.name, partition_of("tickets", 3))
    ownership.assigned([place, (PredictionLogged.topic.name, 0)])
    assert ownership.owns("tickets")
    ownership.assigned([place])
    ownership.revoked([place])
    assert not ownership.owns("tickets")
    assert len(changes) == 2


def test_without_a_topic_keyed_by_workload_every_process_owns_all() -> None:
    ownership = Ownership()
    ownership.goes_by(lead_topic([ModelPromoted, PredictionLogged]))
    assert ownership.owns("tickets")


def held(count: int, size: int = 1) -> list[ConsumerRecord[Any]]:
    return [ConsumerRecord(None, 0, number, size=size) for number in range(count)]


def test_a_partition_is_full_by_records_or_by_bytes_and_wants_more_once_half_is_done() -> None:
    many, large = Partition(0), Partition(1)
    many.hold(held(20_001))
    large.hold(held(25, 1 << 20))
    assert many.is_full(partitions=2)
    assert large.is_full(partitions=2)
    many.drop(10_000)
    large.drop(12)
    assert not many.wants_more(partitions=2)
    assert not large.wants_more(partitions=2)
    many.drop(2)
    large.drop(2)
    assert many.wants_more(partitions=2)
    assert large.wants_more(partitions=2)


def test_a_portion_has_no_more_bytes_than_it_may_but_at_least_one_record() -> None:
    partition, known = Partition(0), UnknownWorkloads(None)
    partition.hold(held(10, 100))
    assert len(next_portion(partition, known, 20, 350, 0.0).records) == 3
    assert len(next_portion(partition, known, 20, 50, 0.0).records) == 1
    assert len(next_portion(partition, known, 4, 10_000, 0.0).records) == 4


def test_events_of_known_workloads_and_revisions_are_told_at_once() -> None:
    workloads = Workloads()
    workloads.apply(added("tickets", revision=2))
    unknown = UnknownWorkloads(workloads)
    event = logged("p")
    assert unknown.all_known([event, event.model_copy(update={"revision": 2})])
    assert not unknown.all_known([event, event.model_copy(update={"revision": 3})])
    assert not unknown.all_known([event, logged("p", "nobodys")])
    unknown.seconds_to_wait(logged("p", "nobodys"), 0, 0)
    assert unknown.all_known([event])  # a name that never comes costs those of others nothing
    workloads.apply(added("nobodys"))
    assert unknown.all_known([logged("p", "nobodys")])


def test_many_unknown_workloads_cost_one_wait_together() -> None:
    partition, unknown = Partition(0), UnknownWorkloads(Workloads())
    partition.hold([ConsumerRecord(logged("p", f"no-{number}"), 0, number) for number in range(50)])
    first = next_portion(partition, unknown, 100, 1 << 20, 1000.0)
    assert (first.records, first.wait_seconds) == ([], 10)
    then = next_portion(partition, unknown, 100, 1 << 20, 1011.0)
    assert (len(then.reasons), then.wait_seconds) == (50, 0)


def test_of_unknown_workloads_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.consumer.unknown_workload.MOST_NAMES", 3)
    unknown = UnknownWorkloads(Workloads())
    for number in range(10):
        unknown.seconds_to_wait(logged("p", f"no-{number}"), 0, 0)
    assert len(unknown._first_seen) == 3
