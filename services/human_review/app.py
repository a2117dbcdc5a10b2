"""Puts the service together."""

from __future__ import annotations

import logging
from functools import partial

from services.human_review.api import make_router
from services.human_review.handlers import Handlers
from services.human_review.look_ahead import LookAhead
from services.human_review.metrics import Metrics
from services.human_review.settings import Settings
from services.human_review.store import ReviewStore
from shared.consumer import Batch
from shared.events import PredictionFlagged, ReviewGiven, ShadowPairRecorded, WorkloadAdded
from shared.lots import WITHOUT_KEY, Lots
from shared.pair_reviews import reviews_of_a_pair
from shared.projections import Workloads
from shared.service import Service, ServiceContext

log = logging.getLogger(__name__)


def build(context: ServiceContext) -> Service:
    settings = Settings()
    workloads = Workloads()
    store = ReviewStore(context.clickhouse)
    secret = context.addresses.subject_key
    if not secret:
        log.warning(WITHOUT_KEY)
    handlers = Handlers(
        store,
        context.publish,
        context.clock,
        workloads,
        Lots.of(secret),
        lambda: reviews_of_a_pair(wants_keys=context.admission.wants_keys),
        Metrics(context.registry),
    )
    ahead = LookAhead(store, context.clock, settings)

    return Service(
        name="human_review",
        consumes={
            WorkloadAdded: handlers.on_workload_added,
            PredictionFlagged: Batch(handlers.on_prediction_flagged),
            ShadowPairRecorded: Batch(handlers.on_shadow_pair_recorded),
            ReviewGiven: Batch(handlers.on_review_given),
        },
        workloads=workloads,
        routers=[make_router(ahead, store, workloads, context.publish, context.clock, settings)],
        background=[partial(handlers.join_while_some_wait, settings.join_seconds)],
    )
