"""Puts prediction_logging together."""

from __future__ import annotations

from importlib.resources import files

from services.prediction_logging.api import routes
from services.prediction_logging.handlers import Handlers
from services.prediction_logging.metrics import Metrics
from services.prediction_logging.settings import Settings
from services.prediction_logging.store import PredictionStore
from shared.events import FeedbackGiven, PredictionLogged, WorkloadAdded
from shared.hearing import Batch
from shared.service import Service, Surroundings
from shared.standing import Workloads


def build(around: Surroundings) -> Service:
    workloads = Workloads()
    handlers = Handlers(
        PredictionStore(around.tables), around.say, around.clock, workloads, Metrics(around.registry)
    )
    return Service(
        name="prediction_logging",
        hears={
            WorkloadAdded: handlers.on_workload_added,
            PredictionLogged: Batch(handlers.on_prediction_logged),
            FeedbackGiven: Batch(handlers.on_feedback_given),
        },
        tables_sql=files(__package__).joinpath("tables.sql").read_text(),
        routers=[routes(workloads, around.say, around.clock, Settings())],
    )
