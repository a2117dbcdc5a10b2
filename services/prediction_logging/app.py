"""Puts prediction_logging together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from services.prediction_logging.acceptance import Acceptance
from services.prediction_logging.api import Intake, routes
from services.prediction_logging.audit import Audit, OpenRows
from services.prediction_logging.audit_store import AuditStore
from services.prediction_logging.conflict_letters import Conflict, conflict_letter
from services.prediction_logging.direct_routes import answered_directly
from services.prediction_logging.handlers import Handlers
from services.prediction_logging.intake_metrics import IntakeMetrics
from services.prediction_logging.kinds import Feedback, Predictions
from services.prediction_logging.metrics import Metrics
from services.prediction_logging.settings import Settings
from services.prediction_logging.store import PredictionStore
from shared.consumer import Batch
from shared.events import (
    FeedbackGiven,
    FeedbackReported,
    PredictionLogged,
    PredictionReported,
    WorkloadAdded,
)
from shared.events.fast_prediction import read_predictions
from shared.lots import WITHOUT_KEY as LOTS_WITHOUT_KEY
from shared.lots import Lots
from shared.outbox import Delivery, OutboxSettings, orphaned_outboxes, own_outbox
from shared.projections import Workloads
from shared.service import Service, ServiceContext
from shared.subject_ids import WITHOUT_KEY, subject_id

DRAIN_SECONDS = 4.0  # a process that ends delivers so long; what is left is the next one's
AUDIT_ANSWER_SECONDS = 600.0  # for a slice, of half a million rows whose ids lie anywhere

log = logging.getLogger(__name__)


def build(context: ServiceContext) -> Service:
    settings = Settings()
    workloads = Workloads()
    subject_key = context.addresses.subject_key
    if not subject_key:
        log.warning(WITHOUT_KEY)
        log.warning(LOTS_WITHOUT_KEY)
    subject_of = partial(subject_id, subject_key)
    outbox_settings = OutboxSettings(most_bytes=settings.outbox_most_bytes, fsync=True)
    outbox = own_outbox(context.state_folder, outbox_settings)
    delivery = Delivery(
        outbox,
        context.producer.publish_and_wait,
        partial(orphaned_outboxes, context.state_folder, outbox_settings),
    )
    intake = Intake(
        workloads,
        Acceptance(context.producer.publish_records, outbox, settings.publish_timeout_seconds),
        context.clock,
        settings,
        IntakeMetrics(context.registry, delivery),
        context.limits,
    )
    router = routes(intake, Predictions(workloads, subject_of), Feedback(workloads, subject_of))
    store, metrics, open_rows = PredictionStore(context.clickhouse), Metrics(context.registry), OpenRows()
    lots = Lots.of(subject_key)
    handlers = Handlers(store, context.publish, context.clock, workloads, metrics, lots, open_rows.add)

    async def set_aside(conflicts: Sequence[Conflict]) -> None:
        moment = context.clock()
        await context.producer.publish_records([conflict_letter(one, moment) for one in conflicts])

    audit = Audit(
        AuditStore(context.clickhouse.patient(AUDIT_ANSWER_SECONDS)),
        store,
        set_aside,
        context.clock,
        handlers.arrivals,
        metrics,
        open_rows,
        settings.audit_seconds,
    )
    return Service(
        name="prediction_logging",
        consumes={
            WorkloadAdded: handlers.on_workload_added,
            PredictionReported: Batch(handlers.on_prediction_reported),
            PredictionLogged: Batch(handlers.on_prediction_logged, read_predictions),
            FeedbackReported: Batch(handlers.on_feedback_reported),
            FeedbackGiven: Batch(handlers.on_feedback_given),
        },
        workloads=workloads,
        stands_on=(),
        routers=[router],
        mount=answered_directly(router),
        background=[delivery.run_for_ever, audit.run_for_ever],
        stop=partial(delivery.drain, DRAIN_SECONDS),
    )
