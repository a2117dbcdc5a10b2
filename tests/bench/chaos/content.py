"""What event number n says: all of it follows from n, so that what is stored can be compared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.events import FeedbackGiven, PredictionLogged
from tests.bench.installation import DOUBT_BELOW, LABELS

WORKLOAD = "chaos"
TOPICS = (PredictionLogged.topic, FeedbackGiven.topic)
ONE_IN_DOUBTED = 50
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def predicted(n: int) -> dict[str, Any]:
    """A prediction without its id."""
    doubted = is_doubted(n)
    return {
        "workload": WORKLOAD,
        "predicted_at": (BEGAN + timedelta(milliseconds=n)).isoformat(),
        "input": f"{n}: where does my order hang about, please, I have been waiting for it all week?",
        "answer": LABELS[n % 3],
        "confidence": 0.25 if doubted else 0.75,
        "adapter": f"adapter-{n % 2}",
        "attributes": {"n": str(n)},
    }


def is_doubted(n: int) -> bool:
    """Whether it is to be flagged."""
    return n % ONE_IN_DOUBTED == 0


def said(n: int) -> dict[str, Any]:
    """Feedback without its ids."""
    return {
        "workload": WORKLOAD,
        "score": 0.25 if n % ONE_IN_DOUBTED == 1 else 0.75,
        "comment": f"{n}: as I see it",
        "given_at": (BEGAN + timedelta(milliseconds=n)).isoformat(),
    }


STORED_PREDICTIONS = f"""
    SELECT prediction_id AS id, attributes['n'] AS n,
        input = concat(n, ': where does my order hang about, please, I have been waiting for it all week?')
        AND answer = {list(LABELS)}[toUInt64(n) % 3 + 1]
        AND confidence = if(toUInt64(n) % {ONE_IN_DOUBTED} = 0, 0.25, 0.75)
        AND adapter = '' AND said_model = concat('adapter-', toString(toUInt64(n) % 2)) AS is_right
    FROM predictions_v1 WHERE workload = '{WORKLOAD}'"""
"""The same rule in SQL: a million rows are compared where they are."""

STORED_FEEDBACK = f"""
    SELECT feedback_id AS id, splitByChar(':', comment)[1] AS n,
        comment = concat(n, ': as I see it') AND thumb = ''
        AND score = if(toUInt64(n) % {ONE_IN_DOUBTED} = 1, 0.25, 0.75) AS is_right
    FROM feedback_v1 WHERE workload = '{WORKLOAD}'"""

assert DOUBT_BELOW == 0.5, "0.25 is in doubt and 0.75 is not"
