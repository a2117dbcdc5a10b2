"""All weights of all linear layers, in float32; served as a LoRA adapter that is made of what they changed.

Embeddings, norms and biases stay as they are: what an adapter cannot carry is not trained. The adapter has
the lowest rank at which it answers as the trained model does, up to what the model server takes. Where none
does, the training ends without a candidate and says so: nothing here can serve it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from services.retraining import base_model
from services.retraining.answer_trainer import train_answers
from services.retraining.lora_extraction import LowRank, low_rank, mean_inputs
from services.retraining.methods.lora import save_adapter
from services.retraining.parity import EXTRACTED, Parity, parity
from services.retraining.probing import answer_loss, answer_tokens, log_probabilities, prompts_of
from services.retraining.target_modules import is_targeted
from services.retraining.training_outcome import CannotTrain, Trained
from services.retraining.training_work import TrainingWork
from shared.training.plan import TrainingPlan

PROBES = 100
"""Training rows that the adapter is compared on where there are no validation rows."""
READ_FOR_INPUTS = 64
"""Training rows that say where the layers' inputs lie."""


class NotDeployable(CannotTrain):
    """It is trained, and no adapter that the model server takes answers as it does."""


def train(work: TrainingWork) -> Trained:
    """Writes `work.folder`/adapter. Raises BaseModelMissing, CannotTrain."""
    plan = work.plan
    tokenizer = base_model.describe(work.base_model).tokenizer

    def build() -> Any:
        model = base_model.weights(work.base_model, plan.device.model_copy(update={"dtype": "float32"}))
        model.requires_grad_(False)
        for name in trainable_layers(model, plan):
            model.get_submodule(name).weight.requires_grad_(True)
        return model

    model, trained = train_answers(build, tokenizer, work)
    layers = trainable_layers(model, plan)

    probes = work.validation or work.examples[:PROBES]
    prompts = prompts_of(probes, tokenizer)
    answers = answer_tokens([*work.examples, *work.validation], tokenizer)
    autocast = plan.device.dtype == "bfloat16"
    wanted = log_probabilities(model, prompts, list(answers.values()), autocast=autocast)
    inputs = mean_inputs(model, layers, prompts_of(work.examples[:READ_FOR_INPUTS], tokenizer))
    served = base_model.weights(work.base_model, plan.device)
    terms = _terms(model, served, layers, inputs, work.highest_rank)
    del model, inputs
    served = base_model.placed(served, plan.device)
    measured: dict[int, Parity] = {}
    for r in _ranks(plan.lora_r, work.highest_rank):
        adapted = _adapted(served, terms, r)
        given = log_probabilities(adapted, prompts, list(answers.values()), autocast=autocast)
        measured[r] = parity(wanted, given)
        if EXTRACTED.holds(measured[r]):
            save_adapter(adapted, work.base_model_name, work.adapter_folder)
            return replace(
                trained,
                lora_r=r,
                eval_loss=answer_loss(given, probes, list(answers)) if work.validation else None,
                notes=(
                    f"all weights of {len(layers)} linear layers were trained; this adapter of rank {r} was "
                    f"made of the difference: {measured[r]}",
                ),
            )
        served = adapted.unload()
    tried = "; ".join(f"rank {r}: {said}" for r, said in measured.items())
    raise NotDeployable(
        f"trained, but not deployable here: no adapter up to rank {work.highest_rank}, the highest that the "
        f"model server takes, answers as the trained model does ({tried}; it may be {EXTRACTED}). Raise the "
        'server\'s highest rank and RETRAINING_LORA_RANK, or say method = "lora".'
    )


def trainable_layers(model: Any, plan: TrainingPlan) -> list[str]:
    """Names of the linear layers that are trained: all of the decoder's, or those that the plan targets."""
    layers = base_model.linear_layers(model)
    return [layer for layer in layers if is_targeted(layer, plan.target_modules)]


def _terms(
    trained: Any, base: Any, layers: Sequence[str], inputs: Mapping[str, torch.Tensor], r: int
) -> dict[str, LowRank]:
    """Of each layer's difference from the weights that will be served, so their rounding is made up for."""
    terms = {}
    for name in layers:
        weight = trained.get_submodule(name).weight.detach()
        difference = weight - base.get_submodule(name).weight.to(weight)
        terms[name] = low_rank(difference, r, inputs[name])
    return terms


def _ranks(wanted: int, highest: int) -> list[int]:
    """The plan's rank, and twice as much until the server's highest."""
    ranks = [min(wanted, highest)]
    while ranks[-1] < highest:
        ranks.append(min(2 * ranks[-1], highest))
    return ranks


def _adapted(base: Any, terms: Mapping[str, LowRank], r: int) -> Any:
    """The base model with an adapter of the first `r` terms beside each layer."""
    config = LoraConfig(r=r, lora_alpha=r, target_modules=list(terms), task_type="CAUSAL_LM")
    adapted = get_peft_model(base, config)
    with torch.no_grad():
        for name, term in terms.items():
            layer = adapted.get_base_model().get_submodule(name)
            part = term.of_rank(r)
            layer.lora_A["default"].weight.zero_()[: part.a.shape[0]].copy_(part.a)
            layer.lora_B["default"].weight.zero_()[:, : part.b.shape[1]].copy_(part.b)
    return adapted
