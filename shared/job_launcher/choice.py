"""Which launcher a service uses: JOB_LAUNCHER=child (the default) or JOB_LAUNCHER=kubernetes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.job_launcher.child_process import ChildProcess
from shared.job_launcher.host_gpus import host_gpus
from shared.job_launcher.kubernetes_api import in_cluster
from shared.job_launcher.kubernetes_job import KubernetesJob
from shared.job_launcher.launcher import Launcher
from shared.job_launcher.manifest import KubernetesSettings


class LauncherSettings(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="JOB_")

    launcher: Literal["child", "kubernetes"] = "child"
    """Where jobs run: `child`, processes of their service, or `kubernetes`, a Job each."""


def launcher_for(service: str) -> Launcher:
    """Launches `python -m services.<service>.job`."""
    if LauncherSettings().launcher == "kubernetes":
        return KubernetesJob(service, KubernetesSettings(), in_cluster())
    return ChildProcess(f"services.{service}.job")


def gpus_to_share_out() -> tuple[str, ...]:
    """This host's GPUs, for the jobs that run on it; none where Kubernetes gives every pod its own."""
    if LauncherSettings().launcher == "kubernetes":
        return ()
    devices = [path.name for path in Path("/dev").glob("nvidia*")]
    return host_gpus(os.environ.get("CUDA_VISIBLE_DEVICES"), devices)
