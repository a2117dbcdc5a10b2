"""Runs and champions told to an MLflow server, where one is named; the loop never waits for it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from services.retraining.tracking.delivery import Recorder, Tracking, WillNotTake
from services.retraining.tracking.settings import TrackingSettings

__all__ = ["Tracking", "tracking_for"]


def tracking_for(files_uri: str, registry: CollectorRegistry) -> Tracking:
    """By MLFLOW_TRACKING_URI. MLflow's client is imported when there is something to tell."""
    tracking_uri = TrackingSettings().tracking_uri

    def connect() -> Recorder:
        try:
            from services.retraining.tracking.mlflow_server import MlflowServer
        except ModuleNotFoundError as missing:
            raise WillNotTake(f"{missing}: pip install 'tuneloop[mlflow]' where retraining runs") from missing

        return MlflowServer(tracking_uri, files_uri)

    return Tracking(connect if tracking_uri else None, registry)
