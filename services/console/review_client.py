"""The review queue as human_review gives it out: its order and its holds are known there and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from services.console.reviewing import Item
from shared.service_client import ServiceClient

_item = TypeAdapter(Item)


@dataclass(frozen=True)
class ReviewClient:
    """Both methods raise ServiceAway and ServiceRefused."""

    service: ServiceClient
    key: str = field(default="", repr=False)
    """Whose reviews they are; empty on a laptop without keys, where it is as they say."""

    async def next_item(self, workload: str, reviewer: str, without: Iterable[str]) -> Item | None:
        """An item that nobody else holds, now held for this reviewer; None when there is none."""
        wanted = {"workload": workload, "reviewer": reviewer, "without": list(without)}
        answer = await self.service.ask("POST", "/reviews/claims", body=wanted, key=self.key)
        return None if answer is None else _item.validate_python(answer)

    async def give(
        self, workload: str, prediction_id: str, reviewer: str, right_answer: str, review_id: str
    ) -> None:
        """Who answers again gives a new review, which replaces the one before."""
        review = {
            "workload": workload,
            "prediction_id": prediction_id,
            "reviewer": reviewer,
            "right_answer": right_answer,
            "review_id": review_id,
        }
        await self.service.ask("POST", "/reviews", body=review, key=self.key)
