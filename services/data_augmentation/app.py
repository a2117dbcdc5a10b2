"""Puts data_augmentation together: corrections become clean, versioned training data."""

from __future__ import annotations

from services.data_augmentation.handlers import Handlers, Outcome
from services.data_augmentation.store import DatasetStore
from shared.events import FailureClustersFound, WorkloadAdded
from shared.jobs import JobRunner, JobTable
from shared.projections import Workloads
from shared.service import Service, ServiceContext

NAME = "data_augmentation"


def build(context: ServiceContext) -> Service:
    table = JobTable(context.clickhouse, NAME)
    outcome = Outcome(DatasetStore(context.clickhouse), context.publish, context.clock)
    jobs = JobRunner(table, NAME, context.state_folder, outcome.on_progress, outcome.on_done)
    handlers = Handlers(Workloads(), jobs)
    return Service(
        name=NAME,
        consumes={
            WorkloadAdded: handlers.on_workload_added,
            FailureClustersFound: handlers.on_failure_clusters_found,
        },
        background=(jobs.run_for_ever,),
    )
