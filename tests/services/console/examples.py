"""A workload two cycles old, as events and as rows of the views, with figures that could be true."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from services.human_review.items import Kind
from shared import events as e
from shared.clickhouse import ClickHouse
from shared.intervals import paired_difference, wilson
from shared.workload import Workload
from tests.servers.views import OWNERS, views_as_tables

HOUR = timedelta(hours=1)
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DIGEST = "sha256:" + "0f" * 32
LABELS = ("refund", "delivery", "account", "invoice", "damaged", "cancel", "praise", "other")
TEXTS = (
    "Hello,\n\nI sent the jacket back three weeks ago and still nothing on my card. When do I get my money?",
    "The parcel should have come on Tuesday. Your page says “on its way” since then.",
    "I cannot log in any more since I changed my e-mail address. The link that you send me has expired.",
    "You charged me twice for the same order, please have a look at the second bill and take it back.",
)
FIRST, SECOND, THIRD = (
    "tickets-smollm2-v1-77aa01bc",
    "tickets-smollm2-v2-3fa9c1d2",
    "tickets-smollm2-v3-b81e90aa",
)

Row = dict[str, Any]
GUARDRAILS = '[{"name": "golden difference", "value": -0.007, "bound": -0.05, "passed": true}]'


def definition(name: str = "tickets", **more: Any) -> Workload:
    settings: Row = {"labels": LABELS, "credit": "Texts by the makers of this test, CC0 1.0."}
    return Workload(
        name=name, title="Which desk answers this ticket?", prompt="{text}\nDesk:", **(settings | more)
    )


def workload_added(workload: Workload | None = None) -> e.WorkloadAdded:
    workload = workload or definition()
    return e.WorkloadAdded(
        revision=1,
        definition=workload,
        answers={label: f" {label}" for label in workload.labels},
        rows=frozen(320),
        added_at=NOW - timedelta(days=15),
    )


def frozen(rows: int) -> e.FrozenFile:
    return e.FrozenFile(uri="file:///files/rows.jsonl", digest=DIGEST, rows=rows)


def adapter(name: str) -> e.FrozenAdapter:
    return e.FrozenAdapter(name=name, uri=f"file:///files/{name}", digest=DIGEST, base_model="SmolLM2-135M")


def promoted(
    champion: str = SECOND, previous: str | None = FIRST, revision: int = 2, at: datetime = NOW
) -> e.ModelPromoted:
    return e.ModelPromoted(
        workload="tickets",
        revision=revision,
        champion=adapter(champion),
        previous=adapter(previous) if previous else None,
        run_id="run-2",
        promoted_at=at,
    )


def scorecard(right: int, champion: int | None, golden: tuple[int, int] | None = None) -> e.Scorecard:
    """Of 300 held-out rows; `golden` is (only the candidate right, only the champion right) of 150."""
    held_out = paired_difference(max(0, right - champion) + 14, 14, 300) if champion is not None else None
    golden_difference = paired_difference(*golden, 150) if golden else None
    return e.Scorecard(
        held_out=wilson(right, 300),
        base_model=wilson(80, 300),
        champion=wilson(champion, 300) if champion is not None else None,
        held_out_difference=held_out,
        golden=wilson(130, 150),
        golden_difference=golden_difference,
        golden_regressed=bool(golden_difference and golden_difference.delta <= -0.05),
        adversarial=[],
        labels=[
            e.LabelScore(
                label=label, n=30 + 4 * n, precision=0.8, recall=0.8, f1=0.6 + 0.04 * n, champion_f1=0.62
            )
            for n, label in enumerate(LABELS)
        ],
        confusions=[
            e.Confusion(right_answer="invoice", answer="refund", n=38, champion=11, candidate=3),
            e.Confusion(right_answer="damaged", answer="delivery", n=31, champion=2, candidate=4),
        ],
        majority_share=0.2,
        calibration_error=0.04,
    )


def evidence() -> e.Evidence:
    return e.Evidence(
        pairs=184,
        differing=47,
        reviewed=46,
        candidate_right=36,
        champion_right=8,
        neither_right=2,
        e_value=310,
    )


async def fill(clickhouse: ClickHouse, now: datetime = NOW, seed: int = 1) -> None:
    """Fills tables in the place of the views with a workload in the shadow of its second cycle."""
    await views_as_tables(clickhouse, *OWNERS)
    chance = random.Random(seed)
    await _traffic(clickhouse, now, chance)
    for view, rows in _cycles(now).items():
        await clickhouse.insert(view, rows)
    await clickhouse.insert("pairs_v1", [_pair(index, now, chance) for index in range(61)])


async def _traffic(clickhouse: ClickHouse, now: datetime, chance: random.Random) -> None:
    predictions, flags, corrections, items, feedback = [], [], [], [], []
    for index in range(2400):
        age = timedelta(minutes=8.4 * (2400 - index))
        is_new = age < timedelta(days=6)
        sure = min(0.99, max(0.16, chance.gauss(0.83 if is_new else 0.7, 0.17)))
        prediction = _prediction(index, now - age, SECOND if is_new else FIRST, sure, chance)
        predictions.append(prediction)
        is_audit = index % 20 == 0
        is_disliked = chance.random() < 0.02
        if is_disliked:
            feedback.append(_feedback(prediction))
        if not (is_audit or is_disliked or sure < 0.55):
            continue
        kind = "audit" if is_audit else "disliked" if is_disliked else "doubted"
        flags.append(_flag(prediction, kind))
        if age < timedelta(hours=14):
            items.append(_item(prediction, kind))
        else:
            is_right = chance.random() < (0.8 if is_new else 0.68)
            corrections.append(_correction(prediction, is_right, chance))
    for item in items[:3]:
        item.update(kind="pair", options=[item["answer"], "other"], priority=2.0)
    await clickhouse.insert("predictions_v1", predictions)
    await clickhouse.insert("prediction_counts_v1", [_counted(one) for one in predictions])
    await clickhouse.insert("feedback_v1", feedback)
    await clickhouse.insert("flags_v1", flags)
    await clickhouse.insert("corrections_v1", corrections)
    await clickhouse.insert("review_items_v1", items)
    await clickhouse.insert("review_items", [_queued(item) for item in items])
    await clickhouse.insert("agreement_v1", [{"workload": "tickets", "n": 60, "agreed": 56}])


def _prediction(index: int, at: datetime, adapter: str, sure: float, chance: random.Random) -> Row:
    answer = LABELS[index % 7]
    others = [label for label in LABELS if label != answer]
    weights = [chance.random() ** 3 + 0.01 for _ in others]
    shares = {
        label: (1 - sure) * weight / sum(weights) for label, weight in zip(others, weights, strict=True)
    }
    return {
        "prediction_id": f"p-{index:05d}",
        "predicted_at": at,
        "workload": "tickets",
        "adapter": adapter,
        "input": TEXTS[index % len(TEXTS)],
        "answer": answer,
        "confidence": sure,
        "probabilities": {answer: sure, **shares},
        "latency_ms": 90.0,
        "tokens_in": 60,
        "attributes": {},
    }


def _counted(prediction: Row) -> Row:
    at: datetime = prediction["predicted_at"]
    sure = prediction["confidence"]
    return {
        "workload": prediction["workload"],
        "adapter": prediction["adapter"],
        "made_at": at.replace(minute=at.minute // 5 * 5, second=0, microsecond=0),
        "predictions": 1,
        "confidence_sum": sure,
        "confidences": {int(100 * sure): 1},
        "last_predicted_at": at,
    }


def _named(prediction: Row, *names: str) -> Row:
    return {name: prediction[name] for name in ("prediction_id", "workload", *names)}


def _feedback(prediction: Row) -> Row:
    said = {"thumb": "down", "score": None, "comment": "", "given_at": prediction["predicted_at"]}
    return _named(prediction) | {"feedback_id": f"f-{prediction['prediction_id']}"} | said


def _flag(prediction: Row, kind: str) -> Row:
    return _named(prediction) | {"reason": kind, "flagged_at": prediction["predicted_at"]}


def _item(prediction: Row, kind: str) -> Row:
    wanted = {"options": [], "priority": 1 - prediction["confidence"], "reviewers": [], "reviews_wanted": 1}
    named = _named(prediction, "predicted_at", "adapter", "answer", "confidence")
    return named | wanted | {"kind": kind, "state": "open", "queued_at": prediction["predicted_at"]}


def _queued(item: Row) -> Row:
    """An item as human_review keeps it."""
    return {name: value for name, value in item.items() if name not in ("reviewers", "state")} | {
        "strength": Kind(item["kind"]).strength
    }


def _correction(prediction: Row, is_right: bool, chance: random.Random) -> Row:
    right = prediction["answer"] if is_right else chance.choice(LABELS)
    named = _named(prediction, "predicted_at", "adapter", "answer", "confidence")
    at = prediction["predicted_at"] + timedelta(hours=2)
    return named | {"right_answer": right, "reviewers": ["ada"], "corrected_at": at}


def _pair(index: int, now: datetime, chance: random.Random) -> Row:
    differs = index % 4 == 0
    is_candidate_right = differs and chance.random() < 0.7
    return {
        "run_id": "run-3",
        "workload": "tickets",
        "prediction_id": f"p-{2300 + index:05d}",
        "predicted_at": now - timedelta(minutes=70 - index),
        "champion": SECOND,
        "champion_answer": "refund",
        "champion_confidence": 0.6,
        "candidate": THIRD,
        "candidate_answer": "invoice" if differs else "refund",
        "candidate_confidence": 0.8,
        "differs": differs,
        "right_answer": "" if index % 3 == 0 else "invoice" if is_candidate_right else "refund",
        "recorded_at": now - timedelta(minutes=69 - index),
    }


def _cycles(now: datetime) -> dict[str, list[Row]]:
    day = timedelta(days=1)
    cutoffs = {"": now - 15 * day, "cycle-1": now - 7 * day, "cycle-2": now - timedelta(hours=3)}
    named = {"workload": "tickets"}
    cycles = [
        named
        | {"cycle_id": cycle, "cutoff": cutoff, "reason": "a week has passed", "requested_by": "calendar"}
        for cycle, cutoff in cutoffs.items()
        if cycle
    ]
    clusters = [
        named
        | {
            "cycle_id": "cycle-2",
            "cutoff": cutoffs["cycle-2"],
            "cluster_id": f"c{size}",
            "name": name,
            "size": size,
        }
        | {
            "answer": "x",
            "right_answer": "y",
            "words": [],
            "found_at": cutoffs["cycle-2"] + timedelta(minutes=1),
        }
        for name, size in (("invoice read as refund", 41), ("damaged read as delivery", 28), ("other", 9))
    ]
    datasets, runs, cards = [], [], []
    candidates = (
        ("", FIRST, "", scorecard(204, None)),
        ("cycle-1", SECOND, FIRST, scorecard(239, 204, (5, 6))),
    )
    for version, (cycle, candidate, champion, card) in enumerate(
        (*candidates, ("cycle-2", THIRD, SECOND, scorecard(247, 239, (2, 9)))), start=1
    ):
        ids = named | {"dataset_id": f"dataset-{version}", "cycle_id": cycle}
        files = {
            f"{part}_{what}": DIGEST
            if what == "digest"
            else "file:///files/rows.jsonl"
            if what == "uri"
            else 300
            for part in ("train", "golden", "held_out")
            for what in ("uri", "digest", "rows")
        }
        counts = {
            "seed": 320,
            "corrected": 114 * (version - 1),
            "duplicates": 9 * version,
            "leaks_blocked": 0,
            "invalid": 0,
            "redacted_values": 23 * (version - 1),
        }
        at = cutoffs[cycle]
        datasets.append(
            ids
            | files
            | counts
            | {
                "version": version,
                "cutoff": at,
                "manifest_uri": "file:///files/m.json",
                "train_rows": 320 + 114 * (version - 1),
                "published_at": at + timedelta(minutes=2),
            }
        )
        runs.append(
            ids
            | {
                "run_id": f"run-{version}",
                "candidate": candidate,
                "state": "evaluated",
                "steps": 60,
                "final_loss": 0.61,
                "seconds": 119.0,
                "peak_memory_gb": 2.31,
                "estimated_memory_gb": 2.64,
                "method": "lora",
                "plan": '{"method": "lora", "lora_r": 16, "learning_rate": 0.002, "max_steps": 60}',
                "train_rows": 320 + 114 * (version - 1),
                "rows_seen": 960,
                "eval_loss": 0.655,
                "warnings": [],
                "reason": "",
                "changed_at": at + timedelta(minutes=6),
            }
        )
        cards.append(
            ids
            | {
                "run_id": f"run-{version}",
                "candidate": candidate,
                "champion": champion,
                "scorecard": card.model_dump_json(),
                "evaluated_at": at + timedelta(minutes=6),
            }
        )
    sentence = "184 pairs, 47 differ: candidate right 36, champion right 8. The e-value 310 passes 20."
    verdicts = [
        named
        | {
            "run_id": "run-1",
            "dataset_id": "dataset-1",
            "cycle_id": "",
            "candidate": FIRST,
            "champion": "",
            "verdict": "PROMOTE",
            "reason": "The first model: 68 % on held-out rows, a constant answer gets 20 %.",
            "evidence": e.Evidence().model_dump_json(),
            "guardrails": "[]",
            "judged_at": now - 14.9 * day,
        },
        named
        | {
            "run_id": "run-2",
            "dataset_id": "dataset-2",
            "cycle_id": "cycle-1",
            "candidate": SECOND,
            "champion": FIRST,
            "verdict": "PROMOTE",
            "reason": sentence,
            "evidence": evidence().model_dump_json(),
            "guardrails": GUARDRAILS,
            "judged_at": now - 6 * day,
        },
    ]
    champions = [
        named
        | {
            "revision": index + 1,
            "adapter": name,
            "uri": "file:///a",
            "digest": DIGEST,
            "base_model": "S",
            "previous": "",
            "kind": "promoted",
            "run_id": f"run-{index + 1}",
            "since": since,
        }
        for index, (name, since) in enumerate(((FIRST, now - 13.9 * day), (SECOND, now - 6 * day)))
    ]
    return {
        "cycles_v1": cycles,
        "clusters_v1": clusters,
        "datasets_v1": datasets,
        "runs_v1": runs,
        "scorecards_v1": cards,
        "verdicts_v1": verdicts,
        "champions_v1": champions,
    }
