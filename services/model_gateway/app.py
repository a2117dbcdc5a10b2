"""Puts the gateway together. It answers from its kept flag before any broker is there."""

from __future__ import annotations

from services.model_gateway.answering import Answering
from services.model_gateway.api import routes
from services.model_gateway.delivery import Delivery
from services.model_gateway.flag import Flag
from services.model_gateway.flipping import Flipping
from services.model_gateway.handlers import Handlers
from services.model_gateway.journal import Journal
from services.model_gateway.label_tokens import LabelTokens
from services.model_gateway.metrics import Metrics
from services.model_gateway.settings import Settings
from shared.events import ModelPromoted, ModelRolledBack, WorkloadAdded
from shared.service import Service, Surroundings


def build(around: Surroundings) -> Service:
    settings = Settings()
    journal = Journal(
        around.state_folder / "journal",
        segment_bytes=settings.journal_segment_bytes,
        most_bytes=settings.journal_most_bytes,
        fsync=settings.journal_fsync,
    )
    flag = Flag.restored(around.state_folder / "flag.json")
    metrics = Metrics(around.registry, journal)
    tokens = LabelTokens(around.models)
    flipping = Flipping(flag, around.files, around.models, tokens, metrics)
    answering = Answering(
        flag, flipping, tokens, around.models, journal, metrics, around.clock, settings.answer_seconds
    )
    handlers = Handlers(flag, flipping)

    async def start() -> None:
        await flipping.flip_what_is_wanted()

    return Service(
        name="model_gateway",
        hears={
            WorkloadAdded: handlers.on_workload_added,
            ModelPromoted: handlers.on_model_promoted,
            ModelRolledBack: handlers.on_model_rolled_back,
        },
        routers=[routes(answering, settings.body_most_bytes)],
        start=start,
        background=[flipping.run_for_ever, Delivery(journal, around.say).run_for_ever],
    )
