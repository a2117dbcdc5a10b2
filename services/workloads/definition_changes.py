"""What a revision changes: which label became which, and what follows from it, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.workloads.complaints import BadWorkload, Complaint
from shared.events import WorkloadAdded
from shared.workload import Workload

WHEN_IT_HOLDS = {
    "title": "shown from now on",
    "base_model": "a model is trained on it",
    "prompt": "a model is trained with it; the champion is asked as it was trained",
    "language": "rows are redacted anew and a model is trained on them",
    "credit": "shown from now on",
    "review": "it holds from the next prediction on",
    "cycle": "it decides when the next cycle is due",
    "split": "rows set apart stay as they are; it bounds how many of them are asked",
    "training": "a model is trained with it",
    "promotion": "it holds for the next verdict, of a candidate in the shadow too",
    "privacy": "rows are redacted anew and a model is trained on them",
}
"""Section or field of a definition → from when on a change of it holds."""


def revised(held: Workload | None, wanted: Workload, was: Mapping[str, str]) -> Workload:
    """The definition with what became of every earlier label. `was` is label → former name, if it says so.

    A former name that was said before may go on being said. Raises BadWorkload.
    """
    if held is None:
        return wanted
    new_names = {old: new for new, old in was.items() if old in held.labels}
    complaints = [
        Complaint("labels", problem)
        for new, old in sorted(was.items())
        if (problem := _why_no_rename(held, wanted, old, new)) is not None
    ]
    complaints += [
        Complaint("labels", f'"{label}" was a name of "{held.renamed[label]}" before. Choose another name.')
        for label in wanted.labels
        if label in held.renamed and new_names.get(held.renamed[label]) != label
    ]
    if complaints:
        raise BadWorkload(complaints)
    renamed = {old: new_names.get(now, now) for old, now in held.renamed.items()} | new_names
    gone = {*held.removed, *held.labels, *renamed} - set(wanted.labels)
    renamed = {old: now for old, now in renamed.items() if old in gone and now in wanted.labels}
    return wanted.model_copy(update={"renamed": renamed, "removed": tuple(sorted(gone - renamed.keys()))})


def _why_no_rename(held: Workload, wanted: Workload, old: str, new: str) -> str | None:
    if held.present_label(old) == new:
        return None  # it has that name already
    if old not in held.labels:
        return f'"{new}" cannot have been "{old}": the workload has no such label.'
    if old in wanted.labels:
        return f'"{old}" cannot be renamed to "{new}" and stay a label. Drop one of the two.'
    if new in held.labels:
        return f'"{old}" cannot be renamed to "{new}", which is a label already. Remove "{old}" instead.'
    if new in held.removed:
        return (
            f'"{old}" cannot be renamed to "{new}", which was a label of its own once. Choose another name.'
        )
    return None


def changes(before: WorkloadAdded | None, after: WorkloadAdded) -> list[str]:
    """What the revision `after` changes, a sentence each; empty if nothing differs."""
    if before is None:
        return [f"{after.name} is new: its rows become the first dataset, and its first model is trained."]
    said = []
    if before.is_retired and not after.is_retired:
        said.append(f"It comes back; it was retired on {before.retired_at:%d %b %Y}.")
    if after.is_retired and not before.is_retired:
        said.append("It is retired: nothing is asked, drawn, listed or trained. Its data are kept.")
    said += _of_labels(before.definition, after.definition)
    said += _of_answers(before, after)
    if before.rows.digest != after.rows.digest:
        said.append(
            f"rows: {after.rows.rows} instead of {before.rows.rows}; golden and held-out rows stay the same."
        )
    said += _of_settings(before.definition, after.definition)
    if after.trains_again:
        said.append("The last training of it came to nothing.")
    if said and not after.is_retired:
        trains = after.trains_differently_from(before)
        said.append("A model is trained and tried." if trains else "Nothing is trained for this.")
    return said


def _of_labels(before: Workload, after: Workload) -> list[str]:
    said = []
    for label in before.labels:
        now = after.present_label(label)
        if now is None:
            said.append(
                f'"{label}" is removed: corrections and rows that name it are left out of training. Open '
                "items stay in the queue, where another label can be chosen. Shadow pairs whose right answer "
                "it was count no more. The champion may go on answering it until the next model."
            )
        elif now != label:
            said.append(
                f'"{label}" is called "{now}" now: its token stays, and reviews, corrections, open items and '
                f'shadow pairs count under the new name. Apps go on receiving "{label}" until the next model.'
            )
    kept = [after.present_label(label) for label in before.labels]
    if [label for label in kept if label is not None] != [label for label in after.labels if label in kept]:
        said.append("labels: they stand in another order, on the review page from now on.")
    for label in after.labels:
        if label not in kept:
            again = " again" if label in before.removed else ""
            said.append(
                f'"{label}" is a label{again}: the champion does not know it until a model is trained.'
            )
    return said


def _of_answers(before: WorkloadAdded, after: WorkloadAdded) -> list[str]:
    """Of labels that go on: a token changes where the owner names a word, or with the tokenizer."""
    now = ((after.definition.present_label(label), token) for label, token in before.answers.items())
    changed = [label for label, token in now if label is not None and after.answers[label] != token]
    if not changed:
        return []
    if after.definition.base_model != before.definition.base_model:
        return [f"{len(changed)} labels are answered by other tokens, of the other base model."]
    return [
        f'"{label}" is answered by "{after.answers[label].strip()}" from the next model on; the champion '
        "goes on as it was trained, and its old token is given to no other label."
        for label in changed
    ]


def _of_settings(before: Workload, after: Workload) -> list[str]:
    said = []
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    for name, when in WHEN_IT_HOLDS.items():
        if old[name] != new[name]:
            said.append(f"{_which(name, old[name], new[name])}: {when}.")
    return said


def _which(name: str, old: Any, new: Any) -> str:
    if not isinstance(old, dict):
        return name
    return ", ".join(f"{name}.{key}" for key in new if old.get(key) != new[key])
