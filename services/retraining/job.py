"""The process of retraining: trains a candidate or evaluates it. `python -m services.retraining.job`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.retraining.job_messages import EVALUATE, TRAIN, EvaluateResult, EvaluateTask, TrainTask
from services.retraining.settings import Settings
from services.retraining.time_left import TimeLeft
from shared.adapters.loading import AdapterLoading
from shared.adapters.refusals import AdapterRefused
from shared.adapters.signature import CannotUseKeys, Verifier, prove_keys
from shared.addresses import Addresses
from shared.files import JOB_PATIENCE_SECONDS, DigestMismatch, Files
from shared.job_protocol import JobProgress, Order, Refused, Report, run_job
from shared.model_server import ModelServer


def work(order: Order, report: Report) -> Mapping[str, Any]:
    """Does one order; raises Refused, or anything else to be started again."""
    addresses, settings, time_left = Addresses(), Settings(), TimeLeft()

    def report_in_time(progress: JobProgress) -> None:
        report(time_left.added(progress, time.monotonic()))

    files = Files(
        addresses.files_uri,
        addresses.state_folder / "cache",
        addresses.models_files_folder,
        JOB_PATIENCE_SECONDS,
    )
    try:
        if order.kind == TRAIN:
            from services.retraining.candidate_training import train_candidate

            prove_keys(settings.signing_key, Verifier(addresses.adapters_public_key))
            task = TrainTask.model_validate(order.task)
            trained = train_candidate(task, Path(order.folder), files, addresses, settings, report_in_time)
            return trained.model_dump(mode="json")
        assert order.kind == EVALUATE
        evaluated = asyncio.run(_evaluate(order, files, addresses, settings, report_in_time))
        return evaluated.model_dump(mode="json")
    except (AdapterRefused, CannotUseKeys) as error:
        raise Refused(str(error)) from error
    except (DigestMismatch, FileNotFoundError) as error:
        raise Refused(f"{error}. Restore the file, or publish the dataset anew.") from error


async def _evaluate(
    order: Order, files: Files, addresses: Addresses, settings: Settings, report: Report
) -> EvaluateResult:
    from services.retraining.candidate_evaluation import evaluate_candidate

    async with ModelServer(addresses.models_url) as models:
        loading = AdapterLoading(files, models, Verifier(addresses.adapters_public_key))
        return await evaluate_candidate(EvaluateTask.model_validate(order.task), loading, settings, report)


if __name__ == "__main__":
    sys.exit(run_job(work))
