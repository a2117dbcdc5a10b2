"""Puts data_augmentation together: corrections become clean, versioned training data."""

from __future__ import annotations

from services.data_augmentation.handlers import Handlers, Outcome
from services.data_augmentation.store import TABLES_SQL, DatasetStore
from shared.events import FailureClustersFound, WorkloadAdded
from shared.jobs import JobRunner, JobTable, jobs_table
from shared.service import Service, Surroundings
from shared.standing import Workloads

NAME = "data_augmentation"


def build(around: Surroundings) -> Service:
    table = JobTable(around.tables, NAME)
    outcome = Outcome(DatasetStore(around.tables), around.say, around.clock)
    jobs = JobRunner(table, NAME, around.state_folder, outcome.on_progress, outcome.on_done)
    handlers = Handlers(Workloads(), jobs)
    return Service(
        name=NAME,
        hears={
            WorkloadAdded: handlers.on_workload_added,
            FailureClustersFound: handlers.on_failure_clusters_found,
        },
        tables_sql=TABLES_SQL + jobs_table(NAME),
        background=(jobs.run_for_ever,),
    )
