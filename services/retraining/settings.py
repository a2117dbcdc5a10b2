"""Settings of retraining, from environment variables that begin with RETRAINING_."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="RETRAINING_")

    checkpoint_every: int = Field(default=10, ge=1)
    """Optimiser steps between checkpoints: what a killed training loses at most."""
    at_once: int = Field(default=32, ge=1)
    """Rows under way to the model server at a time during evaluation."""
    patience_seconds: float = Field(default=120, ge=0)
    """How long an evaluation waits for a model server that is down, before it starts anew, or that does not
    take an adapter: a champion is then compared with nothing, and a candidate's run has failed.
    """
    jobs_at_once: int = Field(default=0, ge=0)
    """Trainings and evaluations at the same time. 0: as many as this host has GPUs for, one without any, for
    each takes all cores there are.
    """
    gpus_per_run: int = Field(default=1, ge=1)
    """GPUs that a training gets for itself while it runs, of those that this host shows. Several train it
    together, by accelerate and FSDP; on Kubernetes say it in JOB_KUBERNETES_GPUS.
    """
    training_deadline_seconds: float = Field(default=24 * 3600, gt=0)
    """A training that takes longer is stopped, and its run has failed."""
    evaluation_deadline_seconds: float = Field(default=12 * 3600, gt=0)
    """An evaluation that takes longer is stopped, and its run has failed."""
    lora_rank: int = Field(default=64, ge=1)
    """The highest rank that the model server loads (vLLM: --max-lora-rank). Published, so that a workload
    that asks for more is refused before it is trained.
    """
    free_megabytes: int = Field(default=400, ge=0)
    """Disk space a training needs for its checkpoints and its adapter."""
    signing_key: str = ""
    """A PEM file with the private key that adapters are signed by (`python -m deploy.signing_key` makes a
    pair). Empty: they are not signed."""
