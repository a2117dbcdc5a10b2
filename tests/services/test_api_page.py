"""/docs tells what the document tells, as text, and neither runs nor loads anything."""

from __future__ import annotations

import re

from fastapi import APIRouter, FastAPI, Query
from pydantic import BaseModel, Field

from services.api_page import POLICY, page_of
from services.run import documentation


class Review(BaseModel):
    """A reviewer's judgement."""

    right_answer: str = Field(description="One of the <b>labels</b>.")
    other: list[Review] | None = None


def page() -> str:
    app, router = FastAPI(title="tuneloop", version="1.2"), APIRouter()

    @router.post("/reviews/{workload}", status_code=202)
    def give(workload: str, review: Review, wait: float = Query(0, description="Seconds.")) -> None:
        """Takes a review.

        <script>alert(1)</script>
        """

    app.include_router(router)
    app.include_router(documentation(app))
    return page_of(app.openapi())


def test_it_names_routes_parameters_and_fields() -> None:
    shown = " ".join(re.sub(r"<[^>]*>", " ", page()).split())
    for words in (
        "POST /reviews/{workload}",
        "Takes a review.",
        "wait query number Seconds.",
        "right_answer string required",
        "other list of Review or null",
    ):
        assert words in shown


def test_markup_in_the_document_is_text() -> None:
    assert "<script" not in page()
    assert "<b>" not in page()
    assert "&lt;b&gt;labels" in page()


def test_it_loads_nothing_and_its_policy_lets_nothing_run() -> None:
    links = re.findall(r'(?:src|href)="([^"]*)"', page())
    assert links
    assert all(link.startswith("#") or link == "/openapi.json" for link in links)
    assert "script-src" not in POLICY
    assert POLICY.startswith("default-src 'none';")
