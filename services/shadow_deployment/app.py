"""Puts the shadow together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from services.shadow_deployment.champion_check import ChampionCheck
from services.shadow_deployment.contract_migration import ContractMigration
from services.shadow_deployment.handlers import Handlers
from services.shadow_deployment.judging import Judging
from services.shadow_deployment.settings import Settings
from services.shadow_deployment.shadow import Shadow
from services.shadow_deployment.store import ShadowStore
from services.shadow_deployment.unpaired_requests import UnpairedRequests
from shared.adapters.loading import AdapterLoading
from shared.adapters.refusals import NotSigned
from shared.adapters.signature import Verifier, sign_and_prove
from shared.consumer import Batch
from shared.events import CandidateEvaluated, PredictionCorrected, RollbackRequested, WorkloadAdded
from shared.pair_reviews import reviews_of_a_pair
from shared.projections import Workloads
from shared.service import Service, ServiceContext

SIGNING_KEY = "SHADOW_DEPLOYMENT_SIGNING_KEY"


def build(context: ServiceContext) -> Service:
    store, workloads, wake = ShadowStore(context.clickhouse), Workloads(), asyncio.Event()
    settings, verifier = Settings(), Verifier(context.addresses.adapters_public_key)
    seal = sealing(settings.signing_key, verifier)
    judging = Judging(
        store,
        context.publish,
        context.clock,
        workloads,
        on_settled=wake.set,
        reviews_of_a_pair=lambda: reviews_of_a_pair(wants_keys=context.admission.wants_keys),
    )
    loading = AdapterLoading(context.files, context.models, verifier)
    contracts = ContractMigration(store, judging, workloads, context.files, context.models, seal)
    shadow = Shadow(
        store,
        UnpairedRequests(context.clickhouse),
        context.publish,
        context.clock,
        workloads,
        judging,
        context.models,
        loading,
        contracts,
        ChampionCheck(store, workloads, loading, contracts, context.clock),
        settings,
        wake,
    )
    handlers = Handlers(store, workloads, judging, wake)
    return Service(
        name="shadow_deployment",
        consumes={
            WorkloadAdded: handlers.on_workload_added,
            CandidateEvaluated: handlers.on_candidate_evaluated,
            PredictionCorrected: Batch(handlers.on_predictions_corrected),
            RollbackRequested: handlers.on_rollback_requested,
        },
        workloads=workloads,
        background=[shadow.run_for_ever],
    )


def sealing(signing_key: str, verifier: Verifier) -> Callable[[Path], None]:
    """Signs a folder where this installation signs, and proves that it may be loaded.

    What it gives raises NotSigned where one is asked for and there is no key; UnsafeFiles, CannotUseKeys.
    """

    def seal(folder: Path) -> None:
        if signing_key:
            sign_and_prove(folder, signing_key, SIGNING_KEY, verifier)
            return
        if verifier.is_on:
            raise NotSigned(
                "ADAPTERS_PUBLIC_KEY asks for a signature, and there is no key to sign with",
                mend=f"set {SIGNING_KEY} to that of retraining and start shadow_deployment again",
            )
        verifier.verify(folder)

    return seal
