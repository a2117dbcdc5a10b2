"""Where an MLflow server is. MLflow's client reads its other variables itself."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict


class TrackingSettings(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="MLFLOW_")

    tracking_uri: str = ""
    """An MLflow server (`http://mlflow:5000`) that retraining tells of its runs, scorecards and champions.
    Empty: nobody is told. It needs the extra `mlflow`."""
