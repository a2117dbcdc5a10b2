"""Puts the shadow together."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.shadow_deployment.handlers import Handlers
from services.shadow_deployment.judging import Judging
from services.shadow_deployment.settings import Settings
from services.shadow_deployment.shadow import Shadow
from services.shadow_deployment.store import ShadowStore
from shared.events import CandidateEvaluated, PredictionCorrected, RollbackRequested, WorkloadAdded
from shared.hearing import Batch
from shared.service import Service, Surroundings
from shared.standing import Workloads


def build(around: Surroundings) -> Service:
    store, workloads, wake = ShadowStore(around.tables), Workloads(), asyncio.Event()
    judging = Judging(store, around.say, around.clock, workloads, on_settled=wake.set)
    shadow = Shadow(
        store, around.say, around.clock, workloads, judging, around.models, around.files, Settings(), wake
    )
    handlers = Handlers(store, workloads, judging, wake)
    return Service(
        name="shadow_deployment",
        hears={
            WorkloadAdded: handlers.on_workload_added,
            CandidateEvaluated: handlers.on_candidate_evaluated,
            PredictionCorrected: Batch(handlers.on_predictions_corrected),
            RollbackRequested: handlers.on_rollback_requested,
        },
        tables_sql=Path(__file__).with_name("tables.sql").read_text(),
        background=[shadow.run_for_ever],
    )
