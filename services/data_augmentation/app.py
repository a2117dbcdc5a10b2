"""Puts data_augmentation together: corrections become clean, versioned training data."""

from __future__ import annotations

from datetime import timedelta

from services.data_augmentation.handlers import DATASET, Handlers, Outcome
from services.data_augmentation.settings import Settings
from services.data_augmentation.store import DatasetStore
from shared.events import FailureClustersFound, WorkloadAdded
from shared.job_launcher import launcher_for
from shared.jobs import JobLimits, JobTable, runner_for
from shared.projections import Workloads
from shared.service import Service, ServiceContext

NAME = "data_augmentation"


def build(context: ServiceContext) -> Service:
    settings = Settings()
    table = JobTable(context.clickhouse, NAME)
    limits = JobLimits(settings.jobs_at_once, {DATASET: timedelta(seconds=settings.dataset_deadline_seconds)})
    outcome = Outcome(DatasetStore(context.clickhouse), context.publish, context.clock)
    jobs = runner_for(NAME, context, table, launcher_for(NAME), limits, outcome.on_progress, outcome.on_done)
    workloads = Workloads()
    handlers = Handlers(workloads, jobs)
    return Service(
        name=NAME,
        consumes={
            WorkloadAdded: handlers.on_workload_added,
            FailureClustersFound: handlers.on_failure_clusters_found,
        },
        workloads=workloads,
        background=(jobs.run_for_ever,),
    )
