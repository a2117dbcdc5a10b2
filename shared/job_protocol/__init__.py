"""How a job's process and its service talk: an order in, marked JSON lines out. Both ends of it.

The order comes as JSON on standard input or, where a process has none (a Kubernetes pod), in the environment.
The process answers on standard output, a line each time: any number of {"progress": …}, then {"result": …}
or {"refused": "why"}. Every line begins with a mark that holds the job's id, so that whatever a library
prints, or a pod's log brings in between, is told from an answer.
"""

from shared.job_protocol.lines import MARK, ORDER_VARIABLE, JobProgress, Order, Refusal, Result, read_line
from shared.job_protocol.run import Refused, Report, Work, run_job

__all__ = [
    "MARK",
    "ORDER_VARIABLE",
    "JobProgress",
    "Order",
    "Refusal",
    "Refused",
    "Report",
    "Result",
    "Work",
    "read_line",
    "run_job",
]
