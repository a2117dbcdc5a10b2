"""What a view shows is a contract: the stored files are what the SQL makes."""

from __future__ import annotations

from deploy.view_contracts import CONTRACTS, contracts
from shared.clickhouse import ClickHouse


async def test_every_published_view_has_the_columns_of_its_contract(clickhouse: ClickHouse) -> None:
    stored = {path: path.read_text("utf-8") for path in CONTRACTS.glob("*.json")}
    assert await contracts(clickhouse) == stored, "run `make docs`, look at the difference, commit it"
