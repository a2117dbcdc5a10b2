"""Puts the service together."""

from __future__ import annotations

import asyncio

from services.workloads.api import Parts, routes
from services.workloads.audit_api import audit_routes
from services.workloads.audit_log import AuditLog
from services.workloads.audit_store import AuditStore
from services.workloads.checking import Checking
from services.workloads.consumer_lag import group_topics
from services.workloads.consumer_offsets import ConsumerOffsets
from services.workloads.consumers_api import consumer_routes
from services.workloads.correction_store import CorrectionStore
from services.workloads.cycles import Cycles
from services.workloads.dead_letter_api import dead_letter_routes
from services.workloads.dead_letter_desk import DeadLetterDesk
from services.workloads.dead_letter_store import DeadLetterStore
from services.workloads.dead_letter_topics import DeadLetterTopics
from services.workloads.due_cycles import DueCycles
from services.workloads.handlers import Handlers
from services.workloads.key_api import KeyParts, key_routes
from services.workloads.key_store import KeyStore
from services.workloads.outbox import Outbox
from services.workloads.overview import Overview
from services.workloads.published_runs import PublishedRuns
from services.workloads.published_views import PublishedViews
from services.workloads.revising import Revising
from services.workloads.rounds import Rounds
from services.workloads.run_api import RunParts, run_routes
from services.workloads.run_overview import RunOverview
from services.workloads.settings import Settings
from services.workloads.store import WorkloadStore
from services.workloads.trainings import Trainings
from shared.consumer import Batch
from shared.events import (
    EVENTS,
    ActionAudited,
    CandidateEvaluated,
    CandidateJudged,
    CandidateTrained,
    CycleRequested,
    DatasetPublished,
    DatasetRefused,
    FailureClustersFound,
    PredictionCorrected,
    PredictionFlagged,
    TrainingFailed,
    TrainingProgressed,
    WorkloadAdded,
)
from shared.projections import Workloads
from shared.service import Service, ServiceContext

NAME = "workloads"
READ_SECONDS = 10.0  # of what somebody waits for at a terminal or a page


def build(context: ServiceContext) -> Service:
    settings, workloads, due, stored = Settings(), Workloads(), asyncio.Event(), asyncio.Event()
    store, views = WorkloadStore(context.clickhouse), PublishedViews(context.clickhouse)
    corrections = CorrectionStore(context.clickhouse)
    rounds = Rounds(store, views, context.clock, on_over=due.set, owns=context.owns)
    cycles = Cycles(store, corrections, rounds, context.files, context.clock, settings, on_stored=stored.set)
    checking = Checking(context.models, views)
    revising = Revising(
        store, checking, views, context.files, rounds, workloads, context.clock, on_stored=stored.set
    )
    outbox = Outbox(store, KeyStore(context.clickhouse), rounds, context.publish, context.owns, stored)
    due_cycles = DueCycles(corrections, cycles, rounds, workloads, context.clock, context.owns, due)
    audit_log = AuditLog(AuditStore(context.clickhouse), context.state_folder)
    handlers = Handlers(store, corrections, workloads, rounds, cycles, due, audit_log)
    quick = context.clickhouse.patient(READ_SECONDS)
    overview = Overview(WorkloadStore(quick), PublishedViews(quick), rounds)
    parts = Parts(
        workloads,
        revising,
        cycles,
        rounds,
        overview,
        views,
        context.publish,
        context.clock,
        context.owns,
        settings,
    )

    run_parts = RunParts(
        workloads,
        Trainings(store, PublishedRuns(views), rounds, context.models, context.clock, on_stored=stored.set),
        RunOverview(WorkloadStore(quick), PublishedRuns(PublishedViews(quick)), rounds, context.files),
        context.publish,
        context.clock,
        context.owns,
        settings,
    )
    key_parts = KeyParts(
        KeyStore(quick),
        workloads,
        context.clock,
        context.owns,
        on_revoked=context.admission.on_access_changed,
        on_stored=stored.set,
    )
    offsets = ConsumerOffsets(group_topics(), context.kafka)
    desk = DeadLetterDesk(
        DeadLetterStore(quick),
        DeadLetterTopics([kind.topic.dead_letters for kind in EVENTS], context.kafka),
        context.producer.publish_records,
        context.clock,
        settings.publish_seconds,
    )

    def look_again() -> None:
        rounds.forget()
        stored.set()
        due.set()

    context.on_ownership_change(look_again)

    async def start() -> None:
        await rounds.load()
        for added in await store.newest_revisions():  # some of them may not be published yet
            workloads.apply(added)

    return Service(
        name=NAME,
        consumes={
            WorkloadAdded: handlers.on_workload_added,
            ActionAudited: Batch(handlers.on_action_audited),
            PredictionFlagged: Batch(handlers.on_prediction_flagged),
            PredictionCorrected: Batch(handlers.on_prediction_corrected),
            CycleRequested: handlers.on_cycle_requested,
            FailureClustersFound: handlers.on_milestone,
            DatasetPublished: handlers.on_milestone,
            DatasetRefused: handlers.on_milestone,
            TrainingProgressed: handlers.on_training_progressed,
            CandidateTrained: handlers.on_milestone,
            TrainingFailed: handlers.on_milestone,
            CandidateEvaluated: handlers.on_milestone,
            CandidateJudged: handlers.on_milestone,
        },
        workloads=workloads,
        routers=[
            routes(parts),
            run_routes(run_parts),
            dead_letter_routes(desk),
            consumer_routes(offsets, context.clock),
            key_routes(key_parts),
            audit_routes(AuditStore(quick), audit_log),
        ],
        start=start,
        background=[outbox.run_for_ever, due_cycles.run_for_ever],
    )
