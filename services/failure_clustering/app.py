"""Puts the service together."""

from __future__ import annotations

from datetime import timedelta

from services.failure_clustering.handlers import CLUSTER, Handlers, Outcome
from services.failure_clustering.settings import Settings
from services.failure_clustering.store import FailureStore
from shared.events import CycleStarted
from shared.job_launcher import launcher_for
from shared.jobs import JobLimits, JobTable, runner_for
from shared.service import Service, ServiceContext

NAME = "failure_clustering"


def build(context: ServiceContext) -> Service:
    settings, store = Settings(), FailureStore(context.clickhouse)
    table = JobTable(context.clickhouse, NAME)
    outcome = Outcome(store, context.files, context.publish, context.clock)
    limits = JobLimits(
        settings.jobs_at_once, {CLUSTER: timedelta(seconds=settings.clustering_deadline_seconds)}
    )
    jobs = runner_for(NAME, context, table, launcher_for(NAME), limits, outcome.on_progress, outcome.on_done)
    handlers = Handlers(store, context.files, jobs)
    return Service(
        name=NAME,
        consumes={CycleStarted: handlers.on_cycle_started},
        background=[jobs.run_for_ever],
    )
