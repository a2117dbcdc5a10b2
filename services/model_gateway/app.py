"""Puts the gateway together. It answers from its kept alias before any broker is there."""

from __future__ import annotations

import logging
import time
from functools import partial

from services.model_gateway.alias_switch import AliasSwitch
from services.model_gateway.answering import Answering
from services.model_gateway.api import answer_routes, model_routes
from services.model_gateway.champion_alias import ChampionAlias
from services.model_gateway.handlers import Handlers
from services.model_gateway.held_answers import Repeats
from services.model_gateway.metrics import Metrics
from services.model_gateway.recording import Recording
from services.model_gateway.settings import Settings
from services.model_gateway.state_folder import rename_files_of_0_1
from services.model_gateway.turns import Turns
from shared.adapters.loading import AdapterLoading
from shared.adapters.signature import Verifier
from shared.events import ModelPromoted, ModelRolledBack, WorkloadAdded
from shared.label_scoring import LabelScoring
from shared.outbox import Delivery, OutboxSettings, orphaned_outboxes, own_outbox
from shared.service import Service, ServiceContext
from shared.subject_ids import WITHOUT_KEY

log = logging.getLogger(__name__)


def build(context: ServiceContext) -> Service:
    settings = Settings()
    rename_files_of_0_1(context.state_folder)
    outbox_settings = OutboxSettings(
        segment_bytes=settings.outbox_segment_bytes,
        most_bytes=settings.outbox_most_bytes,
        fsync=settings.outbox_fsync,
        alarm_age_seconds=settings.outbox_alarm_age_seconds,
    )
    outbox = own_outbox(context.state_folder, outbox_settings)
    delivery = Delivery(
        outbox,
        context.producer.publish_and_wait,
        partial(orphaned_outboxes, context.state_folder, outbox_settings),
    )
    alias = ChampionAlias.restored(context.state_folder / "champion_alias.json")
    metrics = Metrics(context.registry, delivery)
    scoring = LabelScoring(context.models)
    loading = AdapterLoading(context.files, context.models, Verifier(context.addresses.adapters_public_key))
    alias_switch = AliasSwitch(alias, loading, context.models, scoring, metrics)
    subject_key = context.addresses.subject_key
    if not subject_key:
        log.warning(WITHOUT_KEY)
    recording = Recording(outbox, metrics, must_record=settings.outbox_when_full == "refuse")
    answering = Answering(
        alias,
        alias_switch,
        scoring,
        recording,
        metrics,
        context.clock,
        settings.answer_seconds,
        subject_key,
        Turns(settings.answers_at_once),
    )
    repeats = Repeats(settings.idempotency_seconds, settings.idempotency_most_bytes, time.monotonic)
    handlers = Handlers(alias, alias_switch)

    async def start() -> None:
        alias.is_complete = True
        await alias_switch.switch_to_what_is_wanted()

    return Service(
        name="model_gateway",
        consumes={
            WorkloadAdded: handlers.on_workload_added,
            ModelPromoted: handlers.on_model_promoted,
            ModelRolledBack: handlers.on_model_rolled_back,
        },
        stands_on=["model server"],
        answers_before_ready=bool(alias.serving),
        routers=[
            answer_routes(answering, repeats, context.limits, settings.body_most_bytes),
            model_routes(answering),
        ],
        start=start,
        background=[alias_switch.run_for_ever, delivery.run_for_ever],
        stop=partial(delivery.drain, settings.outbox_drain_seconds),
    )
