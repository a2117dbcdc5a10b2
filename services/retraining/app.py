"""Puts retraining together: dataset versions become evaluated candidates."""

from __future__ import annotations

import logging
from datetime import timedelta

from services.retraining.handlers import Handlers, Outcome
from services.retraining.job_messages import EVALUATE, TRAIN
from services.retraining.settings import Settings
from services.retraining.store import RunStore
from services.retraining.tracking import tracking_for
from shared.adapters.signature import UNSIGNED, Verifier, prove_keys
from shared.events import (
    DatasetPublished,
    ModelPromoted,
    ModelRolledBack,
    RunCancelRequested,
    TrainingRequested,
    WorkloadAdded,
)
from shared.job_launcher import gpus_to_share_out, launcher_for
from shared.jobs import Gpus, JobLimits, JobTable, runner_for
from shared.projections import Champions, Workloads
from shared.service import Service, ServiceContext

NAME = "retraining"
log = logging.getLogger(__name__)


def build(context: ServiceContext) -> Service:
    champions, store, table = Champions(), RunStore(context.clickhouse), JobTable(context.clickhouse, NAME)
    settings = Settings()
    prove_keys(settings.signing_key, Verifier(context.addresses.adapters_public_key))
    if not settings.signing_key:
        log.warning(UNSIGNED)
    gpus = Gpus(gpus_to_share_out(), {TRAIN: settings.gpus_per_run})
    limits = JobLimits(
        settings.jobs_at_once or gpus.at_once(),
        {
            TRAIN: timedelta(seconds=settings.training_deadline_seconds),
            EVALUATE: timedelta(seconds=settings.evaluation_deadline_seconds),
        },
        gpus,
    )
    tracking = tracking_for(context.addresses.files_uri, context.registry)
    workloads = Workloads()
    outcome = Outcome(workloads, champions, store, table, tracking.telling(context.publish), context.clock)
    jobs = runner_for(NAME, context, table, launcher_for(NAME), limits, outcome.on_progress, outcome.on_done)
    handlers = Handlers(workloads, champions, store, jobs, table, context.clock)

    async def start() -> None:
        await store.tell_limits(settings.lora_rank, context.clock())

    return Service(
        name=NAME,
        consumes={
            WorkloadAdded: handlers.on_workload_added,
            ModelPromoted: tracking.noting(handlers.on_champion_changed),
            ModelRolledBack: tracking.noting(handlers.on_champion_changed),
            DatasetPublished: handlers.on_dataset_published,
            TrainingRequested: handlers.on_training_requested,
            RunCancelRequested: handlers.on_run_cancel_requested,
        },
        workloads=workloads,
        start=start,
        background=(jobs.run_for_ever, tracking.run_for_ever),
    )
