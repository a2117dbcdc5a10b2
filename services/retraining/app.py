"""Puts retraining together: dataset versions become evaluated candidates."""

from __future__ import annotations

from services.retraining.handlers import Handlers, Outcome
from services.retraining.store import TABLES_SQL, RunStore
from shared.events import DatasetPublished, ModelPromoted, ModelRolledBack, WorkloadAdded
from shared.jobs import JobRunner, JobTable, jobs_table
from shared.service import Service, Surroundings
from shared.standing import Champions, Workloads

NAME = "retraining"


def build(around: Surroundings) -> Service:
    champions, store, table = Champions(), RunStore(around.tables), JobTable(around.tables, NAME)
    outcome = Outcome(champions, store, table, around.say, around.clock, around.state_folder)
    jobs = JobRunner(table, NAME, around.state_folder, outcome.on_progress, outcome.on_done)
    handlers = Handlers(Workloads(), champions, store, jobs, around.clock)
    return Service(
        name=NAME,
        hears={
            WorkloadAdded: handlers.on_workload_added,
            ModelPromoted: handlers.on_champion_changed,
            ModelRolledBack: handlers.on_champion_changed,
            DatasetPublished: handlers.on_dataset_published,
        },
        tables_sql=TABLES_SQL + jobs_table(NAME),
        background=(jobs.run_for_ever,),
    )
