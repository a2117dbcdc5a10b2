"""What became of every label, over any number of revisions, and what is said about it."""

from __future__ import annotations

import pytest

from services.workloads.complaints import BadWorkload
from services.workloads.definition_changes import revised
from shared.workload import Workload


def workload(*labels: str) -> Workload:
    return Workload(name="t", title="t", prompt="{text}\nX:", labels=labels)


def history(*steps: tuple[tuple[str, ...], dict[str, str]]) -> Workload:
    """The definition after these revisions: labels, and label → former name."""
    held = None
    for labels, was in steps:
        held = revised(held, workload(*labels), was)
    assert held is not None
    return held


def test_a_rename_of_a_rename_is_read_from_the_first_name_on() -> None:
    now = history((("a", "x"), {}), (("b", "x"), {"b": "a"}), (("c", "x"), {"c": "b"}))
    assert (now.present_label("a"), now.present_label("b"), now.present_label("c")) == ("c", "c", "c")


def test_a_label_may_be_called_again_as_it_was() -> None:
    now = history((("a", "x"), {}), (("b", "x"), {"b": "a"}), (("a", "x"), {"a": "b"}))
    assert (now.present_label("a"), now.present_label("b"), now.removed) == ("a", "a", ())


def test_a_removed_label_takes_its_former_names_along() -> None:
    now = history((("a", "x"), {}), (("b", "x"), {"b": "a"}), (("x", "y"), {}))
    assert (now.present_label("a"), now.present_label("b")) == (None, None)
    assert (now.removed, sorted(now.known_labels)) == (("a", "b"), ["a", "b", "x", "y"])


def test_what_was_said_with_a_removed_label_still_shows_it() -> None:
    now = history((("a", "x", "y"), {}), (("b", "x", "y"), {"b": "a"}), (("b", "x"), {}))
    assert [now.present_name(label) for label in ("a", "b", "y", "never")] == ["b", "b", "y", "never"]


def test_a_former_name_may_go_on_being_said() -> None:
    now = history((("a", "x"), {}), (("b", "x"), {"b": "a"}), (("b", "x"), {"b": "a"}))
    assert now.renamed == {"a": "b"}


def test_rows_of_any_revision_are_read_under_the_names_of_now() -> None:
    now = history((("a", "x", "y"), {}), (("b", "x"), {"b": "a"}))
    rows = [{"text": "1", "label": "a"}, {"text": "2", "label": "y"}, {"text": "3", "label": "x"}]
    assert now.in_present_labels(rows) == [{"text": "1", "label": "b"}, {"text": "3", "label": "x"}]


@pytest.mark.parametrize(
    ("labels", "was", "said"),
    [
        (("b", "x"), {"b": "nobody"}, "no such label"),
        (("b", "a", "x"), {"b": "a"}, "stay a label"),
        (("x", "y"), {"x": "a"}, "which is a label already"),
        (("gone", "x"), {"gone": "a"}, "a label of its own once"),
        (("a", "x", "old"), {}, '"old" was a name of "a" before'),
    ],
)
def test_a_rename_that_would_mix_two_labels_is_refused(
    labels: tuple[str, ...], was: dict[str, str], said: str
) -> None:
    held = history((("old", "x", "gone"), {}), (("a", "x"), {"a": "old"}))
    with pytest.raises(BadWorkload, match=said):
        revised(held, workload(*labels), was)
