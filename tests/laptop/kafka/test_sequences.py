import pytest

from deploy.laptop.kafka.batch import BatchHeader, check
from deploy.laptop.kafka.sequences import REMEMBERED_BATCHES, OutOfOrder, ProducerSequences, StaleEpoch
from tests.laptop.kafka.clients import batch_of


def header(sequence: int, count: int = 1, epoch: int = 0, producer: int = 1) -> BatchHeader:
    return check(batch_of([b"v"] * count, producer=(producer, epoch), sequence=sequence))


def after(*written: BatchHeader) -> ProducerSequences:
    sequences = ProducerSequences()
    for offset, each in enumerate(written):
        sequences.note(each._replace(base_offset=100 + offset), seen_ms=offset)
    return sequences


def test_the_next_sequence_is_new_and_each_of_the_last_five_is_known() -> None:
    sequences = after(*(header(number) for number in range(REMEMBERED_BATCHES)))
    assert sequences.if_repeated(header(REMEMBERED_BATCHES)) is None
    for number in range(REMEMBERED_BATCHES):
        assert sequences.if_repeated(header(number)) == (100 + number, -1)


def test_an_older_batch_a_gap_and_a_batch_of_another_size_are_out_of_order() -> None:
    sequences = after(*(header(number) for number in range(REMEMBERED_BATCHES + 1)))
    for wrong in (header(0), header(REMEMBERED_BATCHES + 2), header(3, count=2)):
        with pytest.raises(OutOfOrder):
            sequences.if_repeated(wrong)


def test_sequences_begin_again_at_0_after_the_largest() -> None:
    last = (1 << 31) - 1
    sequences = after(header(last - 1, count=2))
    assert sequences.if_repeated(header(0)) is None
    crossing = after(header(last, count=2))
    assert crossing.if_repeated(header(last, count=2)) == (100, -1)
    assert crossing.if_repeated(header(1)) is None


def test_a_new_epoch_starts_at_0_and_ends_the_old_one() -> None:
    sequences = after(header(0), header(0, epoch=1))
    with pytest.raises(StaleEpoch):
        sequences.if_repeated(header(1))
    with pytest.raises(OutOfOrder):
        sequences.if_repeated(header(1, epoch=2))
    assert sequences.if_repeated(header(0, epoch=2)) is None


def test_producers_do_not_know_of_each_other_and_may_do_without_an_id() -> None:
    sequences = after(header(0))
    assert sequences.if_repeated(header(5, producer=2)) is None
    assert sequences.if_repeated(check(batch_of([b"v"]))) is None
