"""Puts the service together."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from services.failure_clustering.handlers import CLUSTER, Handlers, Outcome
from services.failure_clustering.settings import Settings
from services.failure_clustering.store import FailureStore
from shared.consumer import Batch
from shared.events import CycleRequested, PredictionCorrected, PredictionFlagged, WorkloadAdded
from shared.job_launcher import launcher_for
from shared.jobs import JobLimits, JobTable, runner_for
from shared.projections import Workloads
from shared.service import Service, ServiceContext

NAME = "failure_clustering"


def build(context: ServiceContext) -> Service:
    settings = Settings()
    store = FailureStore(context.clickhouse)
    table = JobTable(context.clickhouse, NAME)
    outcome = Outcome(store, context.files, context.publish, context.clock)
    limits = JobLimits(
        settings.jobs_at_once, {CLUSTER: timedelta(seconds=settings.clustering_deadline_seconds)}
    )
    jobs = runner_for(NAME, context, table, launcher_for(NAME), limits, outcome.on_progress, outcome.on_done)
    handlers = Handlers(store, context.files, jobs, context.publish, context.clock, Workloads(), settings)

    async def start_due_cycles() -> None:
        while True:
            await handlers.start_due_cycles()
            await asyncio.sleep(settings.due_check_seconds)

    return Service(
        name=NAME,
        consumes={
            WorkloadAdded: handlers.on_workload_added,
            PredictionFlagged: Batch(handlers.on_prediction_flagged),
            PredictionCorrected: Batch(handlers.on_prediction_corrected),
            CycleRequested: handlers.on_cycle_requested,
        },
        background=[jobs.run_for_ever, start_due_cycles],
    )
