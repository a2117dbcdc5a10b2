"""What HTTP answers while ClickHouse does not."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TypeVar

from clickhouse_connect.driver.exceptions import ClickHouseError

from shared.problems import come_again

T = TypeVar("T")
log = logging.getLogger(__name__)


async def of_tables(work: Awaitable[T]) -> T:
    """Raises Problem, 503, if ClickHouse does not answer."""
    try:
        return await work
    except (ClickHouseError, OSError) as away:
        log.warning("ClickHouse: %s", away)
        why = (
            str(away)
            if isinstance(away, TimeoutError) and str(away)
            else f"ClickHouse: {type(away).__name__}"
        )
        raise come_again("Tables away", f"{why}. Try again in a moment.") from away
