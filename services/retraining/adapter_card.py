"""What goes with an adapter: where it comes from, in words. It quotes no row and names only the source."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from services.retraining.training_outcome import MemoryTaken, Trained
from shared.events import DatasetPublished
from shared.training.base_model_name import without_revision
from shared.training.plan import TrainingPlan
from shared.workload import Workload


def adapter_name(workload: Workload, version: int) -> str:
    """`licences-smollm2-135m-v2`: without dots, which PEFT takes for a path."""
    base = without_revision(workload.base_model).rpartition("/")[2].lower()
    slug = re.sub(r"[^a-z0-9]+", "-", base).strip("-").removesuffix("-instruct")
    return f"{workload.name}-{slug}-v{version}"


def adapter_card(
    workload: Workload,
    dataset: DatasetPublished,
    plan: TrainingPlan,
    trained: Trained,
    memory: MemoryTaken,
    warnings: Sequence[str],
) -> str:
    """The README.md of an adapter, with the header that model hubs read."""
    credit = f"\n## Credit\n\n{as_markdown(workload.credit)}\n" if workload.credit else ""
    eval_loss = "" if trained.eval_loss is None else f", {trained.eval_loss:.3f} on validation rows"
    estimated = "" if memory.estimated is None else f", {memory.estimated:.2f} estimated before"
    warned = "".join(f"- **{as_markdown(warning)}**\n" for warning in warnings)
    noted = "".join(f"- {as_markdown(note)}\n" for note in trained.notes)
    settings = "\n".join(
        f"| {name} | {_said(value)} |" for name, value in plan.model_dump(mode="json").items()
    )
    return f"""---
base_model: {json.dumps(without_revision(workload.base_model))}
library_name: peft
tags: [lora, tuneloop]
---

# {adapter_name(workload, dataset.version)}

{as_markdown(workload.title)}

A LoRA adapter (method {plan.method}, rank {plan.lora_r}) on {as_markdown(workload.base_model)},
trained by tuneloop to answer with one of {len(workload.labels)} labels, each one token.

- dataset: version {dataset.version}, id {dataset.dataset_id}, {dataset.train.rows} rows,
  {dataset.train.digest}
- training: {trained.steps} of {plan.max_steps} steps, {trained.rows_seen} rows read in all; the weights are
  those of step {trained.best_step}
- final loss {trained.final_loss:.3f}{eval_loss}
- memory: {memory.peak:.2f} GB at most{estimated}
- the rows were redacted automatically before training; see the dataset's manifest for how
{noted}{warned}
## Settings

| setting | value |
|---|---|
{settings}
{credit}"""


def _said(value: object) -> str:
    if isinstance(value, int | float):
        return str(value)
    return as_markdown(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def as_markdown(text: str) -> str:
    """Words that others wrote, in one line, as words: a backslash before what CommonMark (0.31.2, section
    2.4), GitHub's tables and formulas or HTML would take for more."""
    line = re.sub(r"([\\`*_{}\[\]<>|~&$])", r"\\\1", " ".join(text.split()))
    return re.sub(r"^(\d*)([#+=.)-])", r"\1\\\2", line)
