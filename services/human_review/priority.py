"""Which item comes first: pairs, then what users disliked, then what the model doubted most."""

from __future__ import annotations

from services.human_review.items import Kind


def priority(kind: Kind, lot: float, confidence: float) -> float:
    """Higher comes first: a pair 3, disliked in [2, 3], doubted in [1, 2], an audit item in [1, 3).

    Audit items have a place among the other two by lot, so that however far down the queue reviewers get, the
    same share of the audit sample is judged, and drawn so it stays a fair sample. Pairs come in the order
    of their ids, which is that of the requests: so the verdict weighs them, and it betrays no model.
    """
    match kind:
        case Kind.PAIR:
            return 3.0
        case Kind.DISLIKED:
            return 2.0 + (1.0 - confidence)
        case Kind.DOUBTED:
            return 1.0 + (1.0 - confidence)
        case Kind.AUDIT:
            return 1.0 + 2.0 * lot
