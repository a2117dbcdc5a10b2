"""Puts the service together."""

from __future__ import annotations

import asyncio

from services.failure_clustering.handlers import Handlers, Outcome
from services.failure_clustering.settings import Settings
from services.failure_clustering.store import TABLES_SQL, FailureStore
from shared.events import CycleRequested, PredictionCorrected, PredictionFlagged, WorkloadAdded
from shared.hearing import Batch
from shared.jobs import JobRunner, JobTable, jobs_table
from shared.service import Service, Surroundings
from shared.standing import Workloads

NAME = "failure_clustering"


def build(around: Surroundings) -> Service:
    settings = Settings()
    store = FailureStore(around.tables)
    table = JobTable(around.tables, NAME)
    outcome = Outcome(store, around.files, around.say, around.clock)
    jobs = JobRunner(table, NAME, around.state_folder, outcome.on_progress, outcome.on_done)
    handlers = Handlers(store, around.files, jobs, around.say, around.clock, Workloads(), settings)

    async def start_due_cycles() -> None:
        while True:
            await handlers.start_due_cycles()
            await asyncio.sleep(settings.due_check_seconds)

    return Service(
        name=NAME,
        hears={
            WorkloadAdded: handlers.on_workload_added,
            PredictionFlagged: Batch(handlers.on_prediction_flagged),
            PredictionCorrected: Batch(handlers.on_prediction_corrected),
            CycleRequested: handlers.on_cycle_requested,
        },
        tables_sql=TABLES_SQL + jobs_table(NAME),
        background=[jobs.run_for_ever, start_due_cycles],
    )
