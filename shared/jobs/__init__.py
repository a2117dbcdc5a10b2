"""Work that takes longer than a second: a process of its own whose state is a row."""

from shared.jobs.gpus import Gpus, TooFewGpus
from shared.jobs.job import Job, JobState
from shared.jobs.limits import JobLimits
from shared.jobs.metrics import JobMetrics
from shared.jobs.runner import JobRunner, runner_for
from shared.jobs.table import JobTable

__all__ = [
    "Gpus",
    "Job",
    "JobLimits",
    "JobMetrics",
    "JobRunner",
    "JobState",
    "JobTable",
    "TooFewGpus",
    "runner_for",
]
