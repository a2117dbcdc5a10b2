"""Puts retraining together: dataset versions become evaluated candidates."""

from __future__ import annotations

from services.retraining.handlers import Handlers, Outcome
from services.retraining.store import RunStore
from shared.events import DatasetPublished, ModelPromoted, ModelRolledBack, WorkloadAdded
from shared.jobs import JobRunner, JobTable
from shared.projections import Champions, Workloads
from shared.service import Service, ServiceContext

NAME = "retraining"


def build(context: ServiceContext) -> Service:
    champions, store, table = Champions(), RunStore(context.clickhouse), JobTable(context.clickhouse, NAME)
    outcome = Outcome(champions, store, table, context.publish, context.clock, context.state_folder)
    jobs = JobRunner(table, NAME, context.state_folder, outcome.on_progress, outcome.on_done)
    handlers = Handlers(Workloads(), champions, store, jobs, context.clock)
    return Service(
        name=NAME,
        consumes={
            WorkloadAdded: handlers.on_workload_added,
            ModelPromoted: handlers.on_champion_changed,
            ModelRolledBack: handlers.on_champion_changed,
            DatasetPublished: handlers.on_dataset_published,
        },
        background=(jobs.run_for_ever,),
    )
