"""What must hold before a candidate leaves the training: asked of its folder, as a server will find it.

Nobody who is offered an adapter later can tell a broken one from a bad one. So it is read back from where it
lies and tried on a few rows: the same answers as in training, added into the weights or beside them, for the
same tokens.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import load_file

from services.retraining import base_model
from services.retraining.guessing import doubts, share_as_good, why_not_learnt
from services.retraining.parity import MERGING, parity
from services.retraining.probing import log_probabilities
from services.retraining.training_outcome import CannotTrain, Trained
from services.retraining.training_rows import Probe
from shared.adapters.contract import CONTRACT_FILE, AdapterContract
from shared.adapters.refusals import UnsafeFiles
from shared.adapters.signature import refuse_unsafe_files
from shared.training.device import Device

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PROBES = 16
LOSS_TOLERANCE = 0.1
"""Share by which the loss of what was read back may lie off; as many nats where it is small."""


class NotToLeave(CannotTrain):
    """It is trained, and something is wrong with it."""


@dataclass(frozen=True)
class Leaving:
    folder: Path
    """With the contract in it."""
    base_model: str
    device: Device
    trained: Trained
    validation: Sequence[Probe]
    """Empty where all rows were trained on."""
    others: Sequence[Probe]
    """Rows that were trained on."""
    highest_rank: int

    @property
    def probes(self) -> Sequence[Probe]:
        return (self.validation or self.others)[:PROBES]


def refuse_to_let_go(leaving: Leaving) -> tuple[str, ...]:
    """What an owner should know of one that may leave.

    Raises NotToLeave with all that its files say, or where they are sound with what its answers say.
    """
    contract = AdapterContract.read((leaving.folder / CONTRACT_FILE).read_bytes())
    tokenizer = base_model.describe(leaving.base_model).tokenizer
    found = [
        *losses(leaving.trained),
        *files(leaving.folder, contract, leaving.highest_rank),
        *tokens(contract, tokenizer),
        *prompts(contract, tokenizer, leaving.probes),
    ]
    doubted: list[str] = []
    if not found:
        found, doubted = _answers(leaving, contract, tokenizer)
    if found:
        raise NotToLeave(f"trained, but it must not leave: {'; '.join(found)}")
    return tuple(doubted)


def losses(trained: Trained) -> list[str]:
    """What is wrong with how the training ended."""
    named = (("loss", trained.final_loss), ("loss on validation rows", trained.eval_loss))
    return [f"its {name} is {loss}" for name, loss in named if loss is not None and not math.isfinite(loss)]


def files(folder: Path, contract: AdapterContract, highest_rank: int) -> list[str]:
    """What is wrong with the adapter's files: formats, ranks, numbers that are none, nothing learnt."""
    try:
        refuse_unsafe_files(folder)
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        weights = load_file(folder / WEIGHTS)
    except UnsafeFiles as error:
        return [error.what]
    except (OSError, ValueError, SafetensorError) as error:
        return [f"its files cannot be read: {error}"]
    found = []
    if config.get("r") != contract.lora_r:
        found.append(f"its rank is {config.get('r')}, and its contract says {contract.lora_r}")
    shapes = {w.shape[0] for name, w in weights.items() if ".lora_A." in name}
    shapes |= {w.shape[1] for name, w in weights.items() if ".lora_B." in name}
    if shapes != {config.get("r")}:
        found.append(f"its weights are of rank {sorted(shapes)}, and {CONFIG} says {config.get('r')}")
    if max(shapes, default=0) > highest_rank:
        found.append(
            f"its rank {max(shapes)} is above {highest_rank}, the highest that the model server takes "
            "(RETRAINING_LORA_RANK). Lower training.lora_r, or raise both"
        )
    broken = sorted(name for name, weight in weights.items() if not weight.isfinite().all())
    if broken:
        found.append(f"{len(broken)} of its {len(weights)} weights hold what is no number, {broken[0]} first")
    if not any(weight.any() for name, weight in weights.items() if ".lora_B." in name):
        found.append("none of its weights has moved: it is the base model")
    return found


def tokens(contract: AdapterContract, tokenizer: Any) -> list[str]:
    """Labels whose answer is another token to this tokenizer than the contract says."""
    found = []
    for each in contract.labels:
        ids = tokenizer(each.answer, add_special_tokens=False)["input_ids"]
        if ids != [each.token]:
            found.append(
                f"the answer {each.answer!r} of the label {each.label!r} is token {ids} to the base model's "
                f"tokenizer, and {each.token} in the contract"
            )
    return found


def prompts(contract: AdapterContract, tokenizer: Any, probes: Sequence[Probe]) -> list[str]:
    """Whether the contract asks for these rows as they were trained, token by token, and names their answers.

    A server encodes a prompt by the bare tokenizer, with special tokens. Rows that were cut to fit are none.
    """
    answers = {each.label: each.answer for each in contract.labels}
    for probe in probes:
        before, _, after = contract.prompt.partition("{text}")
        read = probe.example.prompt
        if not (read.startswith(before) and read.endswith(after)):
            return [f"it was trained with another prompt than its contract asks by: {contract.prompt!r}"]
        rendered = contract.prompt_for(probe.text)
        served = tokenizer.backend_tokenizer.encode(rendered, add_special_tokens=True).ids
        if len(read) == len(rendered) and tokenizer(read)["input_ids"] != served:
            return ["a server reads other tokens of the same prompt than training did"]
        if answers.get(probe.label) != probe.example.answer:
            return [
                f"a row of {probe.label!r} was trained with the answer {probe.example.answer!r}, and the "
                f"contract reads that label from {answers.get(probe.label)!r}"
            ]
    return []


def _answers(leaving: Leaving, contract: AdapterContract, tokenizer: Any) -> tuple[list[str], list[str]]:
    """What its answers say against it, in the type that it is served in; and what they leave in doubt."""
    device, probes = leaving.device, leaving.probes
    asked = [tokenizer(probe.example.prompt)["input_ids"] for probe in leaving.validation or probes]
    label_tokens = list(contract.token_of.values())
    base = base_model.placed(base_model.weights(leaving.base_model, device), device)
    try:
        model = PeftModel.from_pretrained(base, str(leaving.folder), local_files_only=True)
    except (ValueError, RuntimeError, KeyError) as error:
        return [f"it does not fit the base model: {error}"], []
    autocast = device.dtype == "bfloat16"
    beside = log_probabilities(model, asked, label_tokens, autocast=autocast)
    if not all(math.isfinite(value) for row in beside for value in row):
        broken = "its answers to probe rows are no numbers. Look whether the base model's weights are whole"
        return [broken], []
    merged = model.merge_and_unload()
    added = log_probabilities(merged, asked[: len(probes)], label_tokens, autocast=autocast)
    found = []
    may_be = MERGING[device.dtype]
    same = parity(beside[: len(probes)], added, tie=may_be.mean_difference)
    if not may_be.holds(same):
        found.append(
            f"added into the base model's weights it answers otherwise than beside them: {same}. It may be "
            f"{may_be}"
        )
    index = {label: place for place, label in enumerate(contract.label_names)}
    right = [index[one.label] for one in leaving.validation]
    if leaving.validation and leaving.trained.eval_loss is not None:
        loss = -sum(row[place] for row, place in zip(beside, right, strict=True)) / len(right)
        trained = leaving.trained.eval_loss
        if abs(loss - trained) > LOSS_TOLERANCE * max(1.0, trained):
            found.append(
                f"read back it has a loss of {loss:.3f} on the validation rows, and {trained:.3f} in training"
            )
    as_good = share_as_good(beside[: len(right)], right)
    found += why_not_learnt(as_good, right)
    return found, doubts(as_good, right)
