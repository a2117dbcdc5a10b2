"""QLoRA: LoRA beside a base model whose weights are quantised to four bits (Dettmers et al. 2023).

The adapter is served on the base model as it is, and not on the quantised one. So it is judged there: what is
said of it is what it answers beside the unquantised weights, and its card says how far that is from training.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from bitsandbytes.nn import Linear4bit, Params4bit
from peft import PeftModel, get_peft_model
from transformers import BitsAndBytesConfig

from services.retraining import base_model
from services.retraining.answer_trainer import train_answers
from services.retraining.methods.lora import lora_config, save_adapter
from services.retraining.parity import parity
from services.retraining.probing import answer_loss, answer_tokens, log_probabilities, prompts_of
from services.retraining.training_outcome import Trained
from services.retraining.training_work import TrainingWork

PROBES = 100
"""Training rows that both bases are compared on where there are no validation rows."""


def train(work: TrainingWork) -> Trained:
    """Writes `work.folder`/adapter. Raises BaseModelMissing, CannotTrain."""
    plan = work.plan
    tokenizer = base_model.describe(work.base_model).tokenizer

    def build() -> Any:
        quantised = base_model.weights(
            work.base_model,
            plan.device,
            quantization_config=BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type=plan.bnb_4bit_quant_type,
                bnb_4bit_use_double_quant=plan.bnb_4bit_use_double_quant,
                bnb_4bit_compute_dtype=getattr(torch, plan.bnb_4bit_compute_dtype),
            ),
        )
        _keep_what_has_a_backward_pass(quantised)
        _let_go_of_the_file(quantised)
        return get_peft_model(quantised, lora_config(plan))

    model, trained = train_answers(build, tokenizer, work)
    save_adapter(model, work.base_model_name, work.adapter_folder)

    probes = work.validation or work.examples[:PROBES]
    prompts = prompts_of(probes, tokenizer)
    answers = answer_tokens([*work.examples, *work.validation], tokenizer)
    autocast = plan.device.dtype == "bfloat16"
    in_training = log_probabilities(model, prompts, list(answers.values()), autocast=autocast)
    del model
    base = base_model.placed(base_model.weights(work.base_model, plan.device), plan.device)
    served = PeftModel.from_pretrained(base, str(work.adapter_folder), local_files_only=True)
    as_served = log_probabilities(served, prompts, list(answers.values()), autocast=autocast)
    return replace(
        trained,
        eval_loss=answer_loss(as_served, probes, list(answers)) if work.validation else None,
        notes=(
            f"it was trained beside {plan.bnb_4bit_quant_type} weights and is served beside those that they "
            f"were made of; every loss and every evaluation is of the latter. Against the quantised weights, "
            f"{parity(in_training, as_served)}",
        ),
    )


def _let_go_of_the_file(model: Any) -> None:
    """What is not quantised may lie in the file as it was mapped, and would keep all of that in memory."""
    for weight in model.parameters():
        if not isinstance(weight, Params4bit) and weight.device.type == "cpu":
            weight.data = weight.data.clone()


def _keep_what_has_a_backward_pass(model: Any) -> None:
    """On a CPU with avx512_bf16 the first evaluation packs the weights for a kernel of bitsandbytes that has
    none, and every step after it trains the last layer alone, with a warning at most.
    """
    for layer in model.modules():
        if isinstance(layer, Linear4bit):
            layer.support_avx512bf16_for_cpu = False
