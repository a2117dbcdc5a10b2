"""A workload has its share of the intake, whoever logs for it, and leaves the others theirs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.prediction_logging.acceptance import Acceptance, NotAccepted
from shared.access.limit_settings import LimitSettings
from shared.access.limiter import RequestLimits
from shared.clickhouse import clickhouse_at
from shared.events import PredictionLogged
from shared.events.envelope import Record
from tests.services.prediction_logging.conftest import NOON, Logging, running, workload_added

GIVEN = {"input": "Where is my money?", "answer": "refund", "confidence": 0.9, "adapter": "in-house"}


class Share:
    """An intake with these limits, of two workloads, and a clock that the test moves."""

    seconds = 1000.0

    def __init__(self, **settings: float) -> None:
        self.registry = CollectorRegistry()
        self.limits = RequestLimits(
            LimitSettings.model_validate(settings), self.registry, lambda: self.seconds
        )

    async def intake(self, folder: Path) -> Logging:
        intake = await running(
            clickhouse_at("http://127.0.0.1:9/none"),
            folder,
            limits=self.limits,
            registry=self.registry,
            clock=lambda: NOON + timedelta(seconds=self.seconds),
        )
        await intake.apply(workload_added("mail"))
        return intake

    def good_lines(self) -> float | None:
        return self.registry.get_sample_value(
            "tuneloop_intake_lines_total", {"kind": "prediction", "outcome": "good"}
        )


async def log(intake: Logging, *workloads: str, **more: Any) -> httpx.Response:
    body = [GIVEN | {"workload": workload} | more for workload in workloads]
    return await intake.http.post("/predictions", json=body)


@pytest.mark.parametrize(
    ("what", "settings"),
    [
        ("requests", {"workload_requests_per_second": 0.25, "workload_requests_burst": 1}),
        ("bytes", {"workload_bytes_per_second": 0.25, "workload_bytes_burst": 1}),
    ],
)
@pytest.mark.parametrize("one_by_one", [True, False])
async def test_past_its_share_it_is_told_when_to_come_again(
    tmp_path: Path, what: str, settings: dict[str, float], one_by_one: bool
) -> None:
    share = Share(**settings)
    intake = await share.intake(tmp_path)
    more: dict[str, Any] = (
        {"predicted_at": None} if one_by_one else {}
    )  # null is no field of what is read all at once
    assert (await log(intake, "tickets", "tickets", **more)).status_code == 202
    refused = await log(intake, "tickets", **more)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 4
    assert "The workload tickets sends more" in refused.json()["detail"]
    assert (await log(intake, "mail", **more)).status_code == 202
    counted = f'tuneloop_limited_requests_total{{limit="{what}",name="tickets",of="workload"}} 1.0'
    assert counted in generate_latest(share.registry).decode()


async def test_of_a_body_about_several_nothing_is_taken_when_one_is_past_its_share(tmp_path: Path) -> None:
    share = Share(workload_requests_per_second=0.25, workload_requests_burst=1)
    intake = await share.intake(tmp_path)
    assert (await log(intake, "tickets")).status_code == 202
    before = len(intake.published)
    assert (await log(intake, "mail", "tickets")).status_code == 429
    assert len(intake.published) == before
    assert (await log(intake, "mail")).status_code == 202, "of mail nothing was counted"


async def test_what_is_refused_and_sent_again_is_of_the_moment_when_it_is_taken(tmp_path: Path) -> None:
    share = Share(workload_requests_per_second=0.25, workload_requests_burst=1)
    intake = await share.intake(tmp_path)
    assert (await log(intake, "tickets", user="anna")).status_code == 202
    assert (await log(intake, "tickets")).status_code == 429
    assert share.good_lines() == 1
    share.seconds += 4
    assert (await log(intake, "tickets")).status_code == 202
    assert share.good_lines() == 2
    first, second = (event.predicted_at for event in intake.published if isinstance(event, PredictionLogged))
    assert second - first == timedelta(seconds=4)


async def test_what_may_have_been_taken_stays_the_same_past_the_limit_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = Share(workload_requests_per_second=0.25, workload_requests_burst=1)
    intake = await share.intake(tmp_path)

    async def not_for_sure(acceptance: Acceptance, records: Sequence[Record]) -> None:
        raise NotAccepted

    with monkeypatch.context() as patched:
        patched.setattr(Acceptance, "accept", not_for_sure)
        unsure = await log(intake, "tickets")
    assert unsure.status_code == 503
    assert (await log(intake, "tickets")).status_code == 429
    share.seconds += 4
    assert (await log(intake, "tickets")).json()["ids"] == unsure.json()["ids"]


async def test_feedback_is_counted_too_and_what_is_wrong_is_not(tmp_path: Path) -> None:
    share = Share(workload_requests_per_second=0.25, workload_requests_burst=1)
    intake = await share.intake(tmp_path)
    said = {"workload": "tickets", "prediction_id": "p", "thumb": "up"}
    assert (await intake.http.post("/feedback", json=said | {"thumb": "sideways"})).status_code == 422
    statuses = [(await intake.http.post("/feedback", json=said)).status_code for _ in range(2)]
    assert statuses == [202, 429]


async def test_invented_workloads_are_nobodys_share(tmp_path: Path) -> None:
    share = Share(workload_requests_per_second=0.25, workload_requests_burst=1)
    intake = await share.intake(tmp_path)
    said = [(await log(intake, f"invented-{number}")).status_code for number in range(3)]
    assert said == [404, 404, 404]
    assert "invented" not in generate_latest(share.registry).decode()
