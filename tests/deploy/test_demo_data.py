"""The demo's data: split once, by seed alone, with nothing shared between what trains and what judges."""

from __future__ import annotations

import pytest

from deploy.demo.licences import SELDOM_SEEN, Licences, licences
from services.data_augmentation.similarity import near_pairs, normalised
from services.workloads.label_words import LabelWords, is_code
from tests.services.workloads.tokenizers_for_tests import chosen, smollm2, tokens_of


@pytest.fixture(scope="module")
def data() -> Licences:
    return licences()


def test_the_split_is_the_same_every_time(data: Licences) -> None:
    assert licences() == data


def test_no_text_stands_in_two_sets_whatever_its_label(data: Licences) -> None:
    texts = [
        normalised(row.text) for rows in (data.seed, data.golden, data.held_out, data.stream) for row in rows
    ]
    assert len(texts) == len(set(texts))


def test_no_near_identical_text_of_one_label_stands_in_two_sets(data: Licences) -> None:
    rows = [*data.seed, *data.golden, *data.held_out, *data.stream]
    for label in data.definition.workload.labels:
        assert not list(near_pairs([row.text for row in rows if row.label == label]))


def test_the_plus_is_kept() -> None:
    assert normalised("GPL v2+") != normalised("GPL v2")


def test_golden_and_held_out_rows_have_every_label(data: Licences) -> None:
    for rows in (data.golden, data.held_out):
        assert {row.label for row in rows} == set(data.definition.workload.labels)


def test_the_first_model_has_hardly_seen_some_licences(data: Licences) -> None:
    for label, count in SELDOM_SEEN.items():
        assert sum(row.label == label for row in data.seed) == count


def test_only_the_simulated_reviewers_know_the_streams_labels(data: Licences) -> None:
    added = {row.text for row in data.rows}
    assert not added & {row.text for row in data.stream}


def test_each_licence_is_answered_by_a_word(data: Licences) -> None:
    workload = data.definition.workload
    answers = chosen(LabelWords(workload.labels, workload.words), tokens_of(smollm2()))
    assert not [label for label, answer in answers.items() if is_code(answer)]
    assert {label: answers[label] for label in workload.words} == {
        label: f" {word}" for label, word in workload.words.items()
    }
