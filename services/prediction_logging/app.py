"""Puts prediction_logging together."""

from __future__ import annotations

import logging

from services.prediction_logging.api import routes
from services.prediction_logging.handlers import Handlers
from services.prediction_logging.metrics import Metrics
from services.prediction_logging.settings import Settings
from services.prediction_logging.store import PredictionStore
from shared.consumer import Batch
from shared.events import FeedbackGiven, PredictionLogged, WorkloadAdded
from shared.projections import Workloads
from shared.service import Service, ServiceContext
from shared.subject_ids import WITHOUT_KEY

log = logging.getLogger(__name__)


def build(context: ServiceContext) -> Service:
    workloads = Workloads()
    subject_key = context.addresses.subject_key
    if not subject_key:
        log.warning(WITHOUT_KEY)
    handlers = Handlers(
        PredictionStore(context.clickhouse),
        context.publish,
        context.clock,
        workloads,
        Metrics(context.registry),
    )
    return Service(
        name="prediction_logging",
        consumes={
            WorkloadAdded: handlers.on_workload_added,
            PredictionLogged: Batch(handlers.on_prediction_logged),
            FeedbackGiven: Batch(handlers.on_feedback_given),
        },
        workloads=workloads,
        stands_on=(),
        routers=[routes(workloads, context.publish, context.clock, Settings(), subject_key)],
    )
