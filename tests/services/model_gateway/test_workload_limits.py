"""A workload has its share of a gateway, whoever asks about it, and leaves the others theirs."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from shared.access.limit_settings import LimitSettings
from shared.access.limiter import RequestLimits
from tests.services.model_gateway.conftest import Gateways, added


def limits(**settings: float) -> tuple[RequestLimits, CollectorRegistry]:
    registry = CollectorRegistry()
    return RequestLimits(LimitSettings.model_validate(settings), registry, lambda: 1000.0), registry


@pytest.mark.parametrize(
    ("what", "settings"),
    [
        ("requests", {"workload_requests_per_second": 0.25, "workload_requests_burst": 1}),
        ("bytes", {"workload_bytes_per_second": 0.25, "workload_bytes_burst": 1}),
    ],
)
async def test_past_its_share_it_is_told_when_to_come_again(
    gateways: Gateways, what: str, settings: dict[str, float]
) -> None:
    those, registry = limits(**settings)
    gateway = await gateways(limits=those)
    await gateway.apply(added("tickets"), added("mail"))
    assert (await gateway.ask()).status_code == 503, "it has no champion yet"
    refused = await gateway.ask()
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 4
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert (await gateway.ask(model="mail")).status_code == 503
    assert 'requests_total{status="429",workload="tickets"} 1.0' in gateway.metrics()
    counted = f'tuneloop_limited_requests_total{{limit="{what}",name="tickets",of="workload"}} 1.0'
    assert counted in generate_latest(registry).decode()


async def test_invented_workloads_share_one_name(gateways: Gateways) -> None:
    those, registry = limits(workload_requests_per_second=0.25, workload_requests_burst=1)
    gateway = await gateways(limits=those)
    await gateway.apply(added("tickets"))
    said = [(await gateway.ask(model=f"invented-{number}")).status_code for number in range(3)]
    assert said == [404, 429, 429]
    assert "invented" not in generate_latest(registry).decode()
