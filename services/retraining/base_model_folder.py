"""Where a base model's files lie: below BASE_MODELS, or fetched from a hub at the revision its name pins."""

from __future__ import annotations

from pathlib import Path

from shared.job_protocol import Refused
from shared.training.base_model_name import PinnedModel, pinned_model, stays_below, unpinned

FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
"""Weights, settings and tokenizers; neither pickles nor code."""


def base_model_folder(base_models: str, name: str) -> str:
    """Of the model that a definition calls `name`; `base_models` is the setting. Raises Refused."""
    if base_models:
        return _below(base_models, name)
    if (pinned := pinned_model(name)) is None:
        raise Refused(
            f"BASE_MODELS names no folder, so the base model comes from a hub, and {name} {unpinned(name)} "
            "Then add the workload again: tuneloop workload add FILE.toml"
        )
    return _fetched(pinned)


def _below(base_models: str, name: str) -> str:
    if not stays_below(name):
        raise Refused(
            f"the base model {name} is a path out of {base_models}, which BASE_MODELS names. Put the model "
            "there and add the workload again with its folder's name."
        )
    folder = Path(base_models) / name
    if not (folder / "config.json").is_file():
        raise Refused(f"no base model {name} in {base_models}, which BASE_MODELS names. Put it there.")
    return str(folder)


def _fetched(model: PinnedModel) -> str:
    from huggingface_hub import snapshot_download

    try:
        return str(snapshot_download(model.hub_id, revision=model.revision, allow_patterns=list(FILES)))
    except (OSError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise Refused(f"{model.hub_id} cannot be fetched at {model.revision}: {why}") from error
