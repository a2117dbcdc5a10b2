"""The door to torch, transformers, PEFT and TRL: trains a LoRA adapter on prompts and their answers."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback, set_seed
from transformers.utils.logging import disable_progress_bar
from trl import SFTConfig, SFTTrainer

from shared.cpu_dtype import cpu_dtype
from shared.training.plan import TrainingPlan

STATE = "trainer_state.json"  # the last file of a checkpoint to be written
IGNORED = -100


@dataclass(frozen=True)
class Example:
    """What the model reads and what it should write next, tokenised apart as they are in serving."""

    prompt: str
    answer: str


@dataclass(frozen=True)
class Trained:
    final_loss: float
    """Mean loss of the last tenth of the steps, in nats per answer token."""
    seconds: float
    """From the first start of this training, restarts included."""


class BaseModelMissing(Exception):
    """The base model cannot be loaded. The message says from where it was tried."""


def train(
    examples: Sequence[Example],
    base_model: str,
    base_model_name: str,
    training: TrainingPlan,
    checkpoint_every: int,
    folder: Path,
    on_step: Callable[[int, float], None],
) -> Trained:
    """Trains from `base_model` (a folder or a hub's id) and writes `folder`/adapter, which keeps its name.

    Called again on the same folder it goes on from the last checkpoint. `on_step` gets each step's number and
    loss. The loss is the cross-entropy of the answer's tokens over the whole vocabulary. Raises
    BaseModelMissing.
    """
    started = _first_start(folder)
    checkpoints = folder / "checkpoints"
    disable_progress_bar()
    set_seed(training.seed)
    model, tokenizer = _load(base_model, training)
    trainer = AnswerTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(checkpoints),
            max_steps=training.max_steps,
            per_device_train_batch_size=training.batch_size,
            learning_rate=training.learning_rate,
            lr_scheduler_type="linear",
            optim="adamw_torch",
            seed=training.seed,
            data_seed=training.seed,
            train_sampling_strategy="group_by_length",
            dataset_kwargs={"skip_prepare_dataset": True},
            max_length=None,
            gradient_checkpointing=False,
            bf16=False,  # the weights have their type already, and the loss below goes past autocast
            use_cpu=not torch.cuda.is_available(),
            save_strategy="steps",
            save_steps=checkpoint_every,
            save_total_limit=1,
            logging_steps=1,
            disable_tqdm=True,
            report_to="none",
        ),
        train_dataset=Dataset.from_list([_tokens(example, tokenizer) for example in examples]),
        processing_class=tokenizer,
        callbacks=[_Steps(on_step)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=_last_whole_checkpoint(checkpoints))
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    last = losses[-max(1, len(losses) // 10) :]
    _save(model, base_model_name, folder / "adapter")
    return Trained(sum(last) / len(last), time.time() - started)


def answer_tokens(base_model: str, answers: Mapping[str, str]) -> dict[str, int]:
    """Label → the token that its answer is for this base model. Raises ValueError if one is not one token."""
    tokenizer = AutoTokenizer.from_pretrained(base_model)
    tokens = {}
    for label, answer in answers.items():
        [tokens[label]] = tokenizer(answer, add_special_tokens=False)["input_ids"]
    return tokens


class AnswerTrainer(SFTTrainer):  # type: ignore[misc]
    """TRL's trainer with the output layer applied where an answer stands and nowhere else.

    Off Triton TRL scores every position against the whole vocabulary, which for one-token answers is most of
    the work of a small model. Calling the layers one by one goes past accelerate's autocast, so the weights
    must already have the type to compute in.
    """

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        causal = self.accelerator.unwrap_model(model).get_base_model()
        hidden = causal.get_decoder()(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
        ).last_hidden_state
        following = inputs["labels"][:, 1:]
        answers = following != IGNORED
        logits = causal.get_output_embeddings()(hidden[:, :-1][answers])
        loss = torch.nn.functional.cross_entropy(logits.float(), following[answers])
        return (loss, {"logits": logits}) if return_outputs else loss


class _Steps(TrainerCallback):  # type: ignore[misc]
    def __init__(self, on_step: Callable[[int, float], None]) -> None:
        self._on_step = on_step

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self._on_step(int(state.global_step), float(logs["loss"]))


def _load(base_model: str, training: TrainingPlan) -> tuple[Any, Any]:
    dtype = "bfloat16" if torch.cuda.is_available() else cpu_dtype()
    try:
        tokenizer = AutoTokenizer.from_pretrained(base_model)
        model = AutoModelForCausalLM.from_pretrained(base_model, dtype=dtype, attn_implementation="eager")
    except (OSError, ValueError) as error:
        raise BaseModelMissing(
            f"the base model cannot be loaded from {base_model}. BASE_MODELS names the folder with base "
            "models; without it the name is looked up on the model hub."
        ) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    config = LoraConfig(
        r=training.lora_r, lora_alpha=training.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config, autocast_adapter_dtype=False), tokenizer


def _tokens(example: Example, tokenizer: Any) -> dict[str, list[int]]:
    prompt = tokenizer(example.prompt)["input_ids"]
    answer = tokenizer(example.answer, add_special_tokens=False)["input_ids"]
    return {"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer}


def _last_whole_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end; a half-written one is removed."""
    newest_first = sorted(
        folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True
    )
    for checkpoint in newest_first:
        try:
            json.loads((checkpoint / STATE).read_text("utf-8"))
        except (OSError, ValueError):
            shutil.rmtree(checkpoint)
        else:
            return str(checkpoint)
    return None


def _save(model: Any, base_model: str, folder: Path) -> None:
    for config in model.peft_config.values():
        config.base_model_name_or_path = base_model  # and not where it lies on this machine
    model.save_pretrained(folder, save_embedding_layers=False)  # "auto" would ask the model hub


def _first_start(folder: Path) -> float:
    note = folder / "started"
    if not note.exists():
        note.write_text(str(time.time()))
    return float(note.read_text())
