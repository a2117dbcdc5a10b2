"""How following ends: what is said of a round that is over or was left, and the command's exit code."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.answer_words import letters_in_words
from deploy.workloads_client import Added, Checked, Round


@dataclass(frozen=True)
class Ending:
    words: str
    exit_code: int = 0


def nothing_differs(checked: Checked) -> Ending:
    """Of a definition and rows that are held already."""
    said = "; ".join(checked.changes) or "nothing differs, nothing is trained"
    return Ending(" ".join([f"{checked.name}: {said.rstrip('.')}.", *letters_in_words(checked)]))


def nothing_trained(added: Added) -> Ending:
    """Of a revision that leads to no round."""
    return Ending(f"{added.name} is at revision {added.revision}. Nothing is trained.")


def ending(workload: str, round_: Round) -> Ending:
    """Of a round that is over.

    A candidate that is held or rejected is a cycle's good end: the loop did its job. A workload whose first
    model is not promoted answers nobody, which whoever added it must notice.
    """
    reason = (round_.reason or round_.sentence or "no reason was given").strip()
    match round_.outcome:
        case "promoted":
            return Ending(f"{workload}: PROMOTED. {reason}")
        case "held" | "rejected" if round_.kind == "cycle":
            return Ending(f"{workload}: {_verdict(round_)}, the champion stays. {reason}")
        case "held" | "rejected" if round_.kind == "training":
            return Ending(f"{workload}: {_verdict(round_)}. {reason}")
        case "held" | "rejected":
            return Ending(f"{workload}: {_verdict(round_)}, its new model does not answer. {reason}", 1)
        case "refused":
            return Ending(f"{workload}: no dataset was made. {reason}", 1)
        case "failed":
            return Ending(f"{workload}: training failed. {reason}", 1)
        case other:
            return Ending(f"{workload}: {other or 'ended'}. {reason}", 1)


def left(workload: str, round_: Round, review_page: str) -> Ending:
    """Of a round that was not waited for: it goes on by itself, and one can come back to it."""
    said = f"{workload} goes on by itself ({round_.stage}: {round_.sentence})."
    if round_.stage == "shadow":
        said += f" Reviews decide it: {review_page}."
    return Ending(f"{said} Come back to it: tuneloop workload follow {workload}")


def _verdict(round_: Round) -> str:
    return "HOLD" if round_.outcome == "held" else "REJECT"
