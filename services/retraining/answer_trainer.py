"""The door to TRL: trains whatever weights of a model want training, on prompts and their answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import PrinterCallback, TrainerCallback, set_seed
from trl import SFTConfig, SFTTrainer

from services.retraining import base_model, processes
from services.retraining.batch_order import batches
from services.retraining.best_epoch import best_step, evaluations, is_over
from services.retraining.checkpoints import ended_at, first_start, last_whole_checkpoint
from services.retraining.divergence import why_to_end
from services.retraining.kept_weights import keep, kept, put_back, whole_weights
from services.retraining.training_outcome import CannotTrain, Trained
from services.retraining.training_rows import Example
from services.retraining.training_work import TrainingWork
from shared.training.plan import TrainingPlan
from shared.training.steps import batches_of_each, rows_seen

IGNORED = -100


def train_answers(build: Callable[[], Any], tokenizer: Any, work: TrainingWork) -> tuple[Any, Trained]:
    """Gives the model that `build` makes, with the best epoch's weights; the caller writes it to the folder.

    The loss is the cross-entropy of the answer's tokens over the whole vocabulary. What is trained is float32
    whatever the base model is in. Called again on the same folder it goes on from the last checkpoint, with
    the weights, the optimiser, the order of rows and the random numbers it would have had. Of several
    processes, each of which has a part of the weights and of every step's rows, the first alone returns, with
    a model that is whole. Raises CannotTrain; SystemExit in the others.
    """
    set_seed(work.plan.seed)  # adapters begin at random
    model = build()
    trained, weights = _train(model, tokenizer, work)
    base_model.release_memory()  # the trainer's, which holds AdamW's moments: what follows needs the room
    if processes.count() > 1:
        torch.distributed.barrier()  # nobody leaves while another still asks for its part
        torch.distributed.destroy_process_group()
        processes.leave_to_the_first()
        del model
        model = base_model.placed(build(), work.plan.device)
    put_back(model, weights)
    return model, trained


def _train(model: Any, tokenizer: Any, work: TrainingWork) -> tuple[Trained, Mapping[str, torch.Tensor]]:
    """How it went, and the best epoch's weights."""
    started = first_start(work.folder)
    plan = work.plan
    rows = [_tokens(example, tokenizer) for example in work.examples]
    checkpoint = last_whole_checkpoint(work.folder / "checkpoints")
    steps = ended_at(checkpoint, plan.early_stopping_patience) or plan.max_steps
    longest_first = sorted((_tokens(example, tokenizer) for example in work.validation), key=_length)[::-1]
    each = batches_of_each(plan.gradient_accumulation_steps, processes.count())
    trainer = AnswerTrainer(
        model=model,
        args=_settings(plan, steps, each, work.checkpoint_every, work.folder / "checkpoints"),
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(longest_first) if longest_first else None,
        processing_class=tokenizer,
        callbacks=[_Watching(work, model, tokenizer)],
    )
    trainer.plan = plan
    everybodys = batches(
        [_length(row) for row in rows],
        plan.batch_size * plan.gradient_accumulation_steps,
        each * processes.count(),
        steps,
        plan.seed,
    )
    trainer.batches = everybodys[processes.number() :: processes.count()]
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    trainer.let_go()
    history = trainer.state.log_history
    losses, evaluated = _losses(history), evaluations(history)
    done = int(trainer.state.global_step)
    best = best_step(evaluated) if evaluated else done
    trained = Trained(
        final_loss=_mean(losses[-max(1, len(losses) // 10) :]),
        eval_loss=evaluated.get(best),
        steps=done,
        best_step=best,
        rows_seen=rows_seen(done, len(rows), plan.batch_size, plan.gradient_accumulation_steps),
        seconds=time.time() - started,
        min_grad_norm=min(entry["grad_norm"] for entry in history if "grad_norm" in entry),
    )
    return trained, kept(work.folder, best) if best != done else whole_weights(model)


class AnswerTrainer(SFTTrainer):  # type: ignore[misc]  # TRL is not followed
    """TRL's trainer with the output layer applied where an answer stands and nowhere else.

    Off Triton TRL scores every position against the whole vocabulary, which for one-token answers is most of
    the work of a small model.
    """

    plan: TrainingPlan
    batches: Sequence[list[int]]

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.model_accepts_loss_kwargs = True  # the loss below divides by all answers of a step
        for weight in self.model.parameters():
            if weight.requires_grad:  # TRL makes them bfloat16 on a quantised base
                weight.data = weight.data.float()
        self._answers: torch.Tensor | None = None
        output = self.model.get_output_embeddings()
        self._hook = output.register_forward_pre_hook(lambda _, given: (given[0][self._answers], *given[1:]))

    def let_go(self) -> None:
        """Leaves the model as it was: through its hook, it would keep the trainer and the optimiser."""
        self._hook.remove()
        self.model.zero_grad(set_to_none=True)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Of this process's batches. Accelerate would share them out again, and only if all had one size."""
        loader: DataLoader[Any] = DataLoader(
            self.train_dataset, batch_sampler=self.batches, collate_fn=self.data_collator
        )
        return loader if processes.count() > 1 else self.accelerator.prepare(loader)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        following = inputs["labels"][:, 1:]
        self._answers = following != IGNORED
        device = self.plan.device
        with torch.autocast(device.kind, torch.bfloat16, enabled=device.dtype == "bfloat16"):
            logits = model(
                input_ids=inputs["input_ids"][:, :-1],
                attention_mask=inputs["attention_mask"][:, :-1],
                use_cache=False,
            ).logits
        total = torch.nn.functional.cross_entropy(logits.float(), following[self._answers], reduction="sum")
        if num_items_in_batch is None:
            loss = total / self._answers.sum()
        else:
            loss = total * self.accelerator.num_processes / num_items_in_batch
        return (loss, {"logits": logits}) if return_outputs else loss


class _Watching(TrainerCallback):  # type: ignore[misc]  # transformers is not followed
    """Tells of each step, ends what went wrong, keeps the best epoch and stops when none gets better."""

    def __init__(self, work: TrainingWork, model: Any, tokenizer: Any) -> None:
        self._work, self._model, self._vocabulary = work, model, len(tokenizer)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        if reason := why_to_end(_losses(state.log_history), logs.get("grad_norm"), self._vocabulary):
            raise CannotTrain(reason)
        self._work.on_step(int(state.global_step), float(logs["loss"]))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self._work.plan.max_steps and self._work.plan.is_validated:
            control.should_evaluate = True  # though the epoch may not be over

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        losses = evaluations(state.log_history)
        self._work.on_evaluated(int(state.global_step), losses[int(state.global_step)])
        if best_step(losses) == state.global_step:
            keep(self._model, self._work.folder, int(state.global_step), self._work.checkpoint_every)
        if is_over(losses, self._work.plan.early_stopping_patience):
            control.should_training_stop = True


def _settings(
    plan: TrainingPlan, steps: int, accumulated: int, checkpoint_every: int, folder: Path
) -> SFTConfig:
    """`accumulated`: batches of one process to a step."""
    return SFTConfig(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=plan.batch_size,
        per_device_eval_batch_size=plan.batch_size,
        gradient_accumulation_steps=accumulated,
        learning_rate=plan.learning_rate,
        lr_scheduler_type=plan.lr_scheduler_type,
        warmup_steps=plan.warmup_steps,
        weight_decay=plan.weight_decay,
        neftune_noise_alpha=plan.neftune_noise_alpha or None,
        optim="adamw_torch",
        seed=plan.seed,
        data_seed=plan.seed,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        gradient_checkpointing=plan.gradient_checkpointing,
        bf16=False,  # the weights have their type already, and the loss brings its own autocast
        use_cpu=plan.device.kind == "cpu",
        eval_strategy="steps" if plan.is_validated else "no",
        eval_steps=plan.steps_per_epoch,
        prediction_loss_only=True,
        save_strategy="steps",
        save_steps=checkpoint_every,
        save_total_limit=1,
        logging_steps=1,
        logging_nan_inf_filter=False,  # it would say 0.0
        disable_tqdm=True,
        report_to="none",
    )


def _tokens(example: Example, tokenizer: Any) -> dict[str, list[int]]:
    prompt = tokenizer(example.prompt)["input_ids"]
    answer = tokenizer(example.answer, add_special_tokens=False)["input_ids"]
    return {"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer}


def _length(row: dict[str, list[int]]) -> int:
    return len(row["input_ids"])


def _losses(history: Sequence[dict[str, float]]) -> list[float]:
    return [entry["loss"] for entry in history if "loss" in entry]


def _mean(losses: Sequence[float]) -> float:
    return sum(losses) / len(losses)
