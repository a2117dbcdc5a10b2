"""The door to MLflow: a workload is an experiment and a registered model, an adapter a version of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")  # seconds; whoever waits tries again later
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException, RestException

from services.retraining.tracking.delivery import WillNotTake
from services.retraining.tracking.notes import CHALLENGER, CHAMPION, AliasNote, Note, RunNote
from shared.events import FrozenAdapter

RUN_ID = "tuneloop.run_id"
EXPERIMENTS = "tuneloop/"
ANOTHER_TIME = {
    "REQUEST_LIMIT_EXCEEDED",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "RESOURCE_ALREADY_EXISTS",  # two of us made it at once
}
"""Of the client's errors, those that may be none the next time."""


class MlflowServer:
    """Everything is looked for before it is made, so telling it again changes nothing."""

    def __init__(self, tracking_uri: str, files_uri: str) -> None:
        self._client = MlflowClient(tracking_uri)
        self._files_uri = files_uri.rstrip("/")
        self._run_ids: dict[str, str] = {}

    def record(self, about_one: Sequence[Note]) -> None:
        """Raises WillNotTake, MlflowException."""
        try:
            runs = [note for note in about_one if isinstance(note, RunNote)]
            if runs:
                self._record_run(runs)
            for note in about_one:
                if isinstance(note, AliasNote):
                    self._move_alias(note)
        except RestException as error:
            if error.get_http_status_code() < 500 and error.error_code not in ANOTHER_TIME:
                raise WillNotTake(str(error).splitlines()[0][:300]) from error
            raise

    def _record_run(self, about_one: Sequence[RunNote]) -> None:
        first = about_one[0]
        run_id = self._run(first.workload, first.run_id, first.at)
        for note in about_one:
            self._client.log_batch(
                run_id,
                metrics=[
                    Metric(name, value, _ms(note.at), note.step) for name, value in note.metrics.items()
                ],
                params=[Param(name, value) for name, value in note.params.items()],
                tags=[RunTag(name, value) for name, value in note.tags.items()],
            )
            if note.ends:
                self._client.set_terminated(run_id, note.ends, _ms(note.at))

    def _run(self, workload: str, run_id: str, at: datetime) -> str:
        """MLflow's id of our run."""
        found = self._found(workload, run_id)
        if found is None:
            experiment = self._experiment(workload)
            found = self._client.create_run(experiment, _ms(at), {RUN_ID: run_id}, run_id).info.run_id
        self._run_ids[run_id] = found
        return found

    def _found(self, workload: str, run_id: str) -> str | None:
        if run_id in self._run_ids:
            return self._run_ids[run_id]
        wanted = f"tags.`{RUN_ID}` = '{run_id}'"
        found = self._client.search_runs([self._experiment(workload)], wanted, max_results=1)
        return str(found[0].info.run_id) if found else None

    def _experiment(self, workload: str) -> str:
        name = f"{EXPERIMENTS}{workload}"
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name))

    def _move_alias(self, note: AliasNote) -> None:
        version = self._version(note)
        self._client.set_registered_model_alias(note.workload, note.alias, version)
        if note.alias == CHAMPION:
            challenger = _unless_missing(
                partial(self._client.get_model_version_by_alias, note.workload, CHALLENGER)
            )
            if challenger is not None and str(challenger.version) == version:
                self._client.delete_registered_model_alias(note.workload, CHALLENGER)

    def _version(self, note: AliasNote) -> str:
        model, adapter = note.workload, note.adapter
        if _unless_missing(partial(self._client.get_registered_model, model)) is None:
            self._client.create_registered_model(model, {"tuneloop.workload": model})
        source = self._source(adapter)
        for found in self._client.search_model_versions(f"name = '{model}'"):
            if found.source == source:
                return str(found.version)
        run = self._found(model, note.run_id) if note.run_id else None
        tags: Mapping[str, Any] = {
            "tuneloop.adapter": adapter.name,
            "tuneloop.digest": adapter.digest,
            "tuneloop.base_model": adapter.base_model,
        }
        made = self._client.create_model_version(model, source, run, tags, await_creation_for=0)
        return str(made.version)

    def _source(self, adapter: FrozenAdapter) -> str:
        """Where the adapter lies. MLflow takes no file of another machine, so such a one is only named."""
        if self._files_uri.startswith("file:"):
            return f"tuneloop:/{adapter.uri}"
        return f"{self._files_uri}/{adapter.uri}"


def _unless_missing(ask: partial[Any]) -> Any:
    try:
        return ask()
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
