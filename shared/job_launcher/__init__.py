"""Where a job's process runs: a child of the service, or a Kubernetes Job. One setting chooses."""

from shared.job_launcher.child_process import ChildProcess
from shared.job_launcher.choice import gpus_to_share_out, launcher_for
from shared.job_launcher.kubernetes_job import KubernetesJob
from shared.job_launcher.launcher import PAST_DEADLINE, CannotStart, Launched, Launcher

__all__ = [
    "PAST_DEADLINE",
    "CannotStart",
    "ChildProcess",
    "KubernetesJob",
    "Launched",
    "Launcher",
    "gpus_to_share_out",
    "launcher_for",
]
