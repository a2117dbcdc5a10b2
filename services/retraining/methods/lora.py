"""LoRA: low-rank adapters in float32 beside the base model's frozen weights (Hu et al. 2021)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model

from services.retraining import base_model
from services.retraining.answer_trainer import train_answers
from services.retraining.training_outcome import Trained
from services.retraining.training_work import TrainingWork
from shared.training.plan import TrainingPlan


def train(work: TrainingWork) -> Trained:
    """Writes `work.folder`/adapter. Raises BaseModelMissing, CannotTrain."""
    tokenizer = base_model.describe(work.base_model).tokenizer

    def build() -> Any:
        return get_peft_model(base_model.weights(work.base_model, work.plan.device), lora_config(work.plan))

    model, trained = train_answers(build, tokenizer, work)
    save_adapter(model, work.base_model_name, work.adapter_folder)
    return trained


def lora_config(plan: TrainingPlan) -> LoraConfig:
    targets = plan.target_modules if isinstance(plan.target_modules, str) else list(plan.target_modules)
    return LoraConfig(
        r=plan.lora_r,
        lora_alpha=plan.lora_alpha,
        lora_dropout=plan.lora_dropout,
        use_rslora=plan.use_rslora,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )


def save_adapter(model: Any, base_model_name: str, folder: Path) -> None:
    """In safetensors, with the base model's name and not where it lies on this machine."""
    for config in model.peft_config.values():
        config.base_model_name_or_path = base_model_name
    model.save_pretrained(folder, save_embedding_layers=False)  # "auto" would ask the model hub
