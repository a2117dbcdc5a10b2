"""Fusion: one adapter out of several that were trained before, without a training step.

The ways to combine are PEFT's: a weighted sum of the parts (linear), sums of what agrees in sign (TIES, Yadav
et al. 2023), with entries dropped at random and the rest made larger (DARE, Yu et al. 2023), or the singular
value decomposition of the summed differences. None keeps all of what its parts knew, so the result is judged
as any candidate is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from services.retraining import base_model, processes
from services.retraining.fusion_parts import differences
from services.retraining.methods.lora import save_adapter
from services.retraining.probing import answer_loss, answer_tokens, log_probabilities, prompts_of
from services.retraining.training_outcome import CannotTrain, Trained
from services.retraining.training_work import TrainingWork
from shared.adapters.contract import CONTRACT_FILE, AdapterContract

FUSED = "default"  # PEFT writes an adapter of this name into the folder itself
MEASURED = 200
"""Training rows whose loss is said where there are no validation rows."""


def fuse(work: TrainingWork) -> Trained:
    """Writes `work.folder`/adapter. Raises BaseModelMissing, CannotTrain."""
    processes.leave_to_the_first()  # there is nothing to share out
    started = time.time()
    plan = work.plan
    if len(plan.weights) != len(work.adapters):
        raise CannotTrain(
            f"training.weights has {len(plan.weights)} numbers for {len(work.adapters)} adapters. Give each "
            "its own."
        )
    contracts = [_contract(folder) for folder in work.adapters]
    if work.contract is not None:  # the fused adapter's own
        contracts.append(work.contract)
    if differ := differences(contracts):
        raise CannotTrain(
            f"these adapters cannot be fused: they differ in {', '.join(differ)}. Only adapters of one base "
            "model that are asked the same way can."
        )
    tokenizer = base_model.describe(work.base_model).tokenizer
    model = _parts(base_model.weights(work.base_model, plan.device), work.adapters)
    names = list(model.peft_config)
    r = min(work.highest_rank, max(config.r for config in model.peft_config.values()))
    torch.manual_seed(plan.seed)  # DARE drops at random
    try:
        model.add_weighted_adapter(
            names,
            list(plan.weights),
            FUSED,
            combination_type=plan.combination,
            density=plan.density,
            svd_rank=r,
            svd_full_matrices=False,
        )
    except ValueError as error:
        raise CannotTrain(f"PEFT cannot combine these adapters by {plan.combination}: {error}") from error
    model.set_adapter(FUSED)
    for name in names:
        model.delete_adapter(name)
    save_adapter(model, work.base_model_name, work.adapter_folder)

    rows = work.validation or work.examples[:MEASURED]
    answers = answer_tokens([*work.examples, *work.validation], tokenizer)
    given = log_probabilities(
        model,
        prompts_of(rows, tokenizer),
        list(answers.values()),
        autocast=plan.device.dtype == "bfloat16",
    )
    loss = answer_loss(given, rows, list(answers))
    return Trained(
        final_loss=loss,
        eval_loss=loss if work.validation else None,
        steps=0,
        best_step=0,
        rows_seen=0,
        seconds=time.time() - started,
        min_grad_norm=0.0,
        lora_r=model.peft_config[FUSED].r,
        notes=(f"fused by {plan.combination} out of {', '.join(plan.adapters)}",),
    )


def _contract(folder: Path) -> AdapterContract:
    try:
        return AdapterContract.read((folder / CONTRACT_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise CannotTrain(
            f"the adapter {folder.name} has no contract that can be read: nobody knows how it is asked. Fuse "
            "adapters that were trained here."
        ) from error


def _parts(base: Any, folders: Sequence[Path]) -> Any:
    """The base model with every adapter beside its layers."""
    model = None
    for number, folder in enumerate(folders):
        name = f"part{number}"  # PEFT takes a name with a dot for a path
        if model is None:
            model = PeftModel.from_pretrained(base, str(folder), adapter_name=name, local_files_only=True)
        else:
            model.load_adapter(str(folder), adapter_name=name, local_files_only=True)
        # The sum is scaled already; as a copy of this config it would be scaled once more.
        model.peft_config[name].use_rslora = False
    assert model is not None
    return model
