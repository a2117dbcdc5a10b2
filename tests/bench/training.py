"""What training costs beside plain TRL: the same texts, base model, seed, learning rate and optimiser steps.

Plain TRL is `SFTTrainer` with its stock settings, as articles show it, given a row as prompt and completion.
Each trains in a process of its own, and they take turns step by step, so that whatever else the machine
does slows both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, TextIO

from deploy.demo.licences import licences
from services.retraining.training_rows import Example
from services.retraining.training_work import TrainingWork
from shared.training.defaults import plan
from shared.training.plan import TrainingPlan
from shared.training.section import Training
from tests.servers.model import ROOT, base_model_folder

OURS, PLAIN = "ours", "plain"
VALIDATION_ROWS = 60
ANSWERS = ("MIT", "Apache", "BSD", "any", "two", "later", "three", "newer", "Lesser", "network")
"""A word for each of the demo's licences."""


@dataclass(frozen=True)
class Turns:
    """The end of a trainer: it waits for its turn before each step, and tells how long the last one took."""

    told: TextIO
    began: list[float]

    def after(self, tokens: int) -> None:
        self.tell({"seconds": time.perf_counter() - self.began.pop(), "tokens": tokens})
        if not sys.stdin.readline():
            raise SystemExit("nobody asks for another step")
        self.began.append(time.perf_counter())

    def tell(self, what: dict[str, Any]) -> None:
        self.told.write(f"{json.dumps(what)}\n")
        self.told.flush()


def examples(rows: int) -> tuple[list[Example], list[Example]]:
    """Those to train on, and those that judge."""
    data = licences()
    word = dict(zip(data.definition.workload.labels, ANSWERS, strict=True))

    def of(given: Any) -> list[Example]:
        return [Example(f"{row.text}\nLicence:", f" {word[row.label]}") for row in given]

    return of([*data.seed, *data.stream][:rows]), of(data.held_out[:VALIDATION_ROWS])


def planned(arguments: argparse.Namespace, base: Any, longest: int) -> TrainingPlan:
    from services.retraining.base_model import this_device

    said = Training(max_steps=arguments.steps, epochs=100, batch_size=16)
    return plan(said, arguments.rows, len(ANSWERS), longest, base.parameters, this_device(), base.context, 0)


def ours(arguments: argparse.Namespace, folder: Path, turns: Turns) -> None:
    from peft import PeftModel

    from services.retraining import base_model
    from services.retraining.batch_order import batches
    from services.retraining.methods.lora import train
    from services.retraining.room import peak_memory_gb

    trained_on, judged = examples(arguments.rows)
    base = base_model.describe(arguments.base_model)
    lengths = base.count([example.prompt + example.answer for example in trained_on])
    settings = planned(arguments, base, max(lengths))
    order = batches(lengths, settings.batch_size, 1, settings.max_steps, settings.seed)

    def on_step(step: int, loss: float) -> None:
        turns.after(sum(lengths[row] for row in order[step - 1]))

    trained = train(
        TrainingWork(
            examples=trained_on,
            validation=[],
            base_model=arguments.base_model,
            base_model_name="bench",
            plan=settings,
            checkpoint_every=10**6,
            folder=folder,
            on_step=on_step,
        )
    )
    peak = peak_memory_gb(settings.device.kind)
    weights = base_model.weights(arguments.base_model, settings.device)
    model = PeftModel.from_pretrained(weights, folder / "adapter").to(settings.device.kind).eval()
    turns.tell(
        {
            "eval_loss": answer_loss(model, encoded(base, judged)),
            "min_grad_norm": trained.min_grad_norm,
            "peak_memory_gb": peak,
        }
    )


def plain(arguments: argparse.Namespace, folder: Path, turns: Turns) -> None:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from services.retraining import base_model

    trained_on, judged = examples(arguments.rows)
    base = base_model.describe(arguments.base_model)
    settings = planned(arguments, base, 0)
    read: list[int] = []

    class Counting(SFTTrainer):  # type: ignore[misc]  # TRL is not followed
        def training_step(self, model: Any, inputs: Any, *given: Any) -> Any:
            read.append(int(inputs["attention_mask"].sum()))
            return super().training_step(model, inputs, *given)

    class ByTurns(TrainerCallback):  # type: ignore[misc]  # transformers is not followed
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                turns.after(read[-1])

    trainer = Counting(
        model=arguments.base_model,
        args=SFTConfig(
            output_dir=str(folder),
            max_steps=settings.max_steps,
            per_device_train_batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            seed=settings.seed,
            bf16=settings.device.dtype == "bfloat16",
            use_cpu=settings.device.kind == "cpu",
            logging_steps=1,
            save_strategy="no",
            report_to="none",
        ),
        train_dataset=Dataset.from_list(
            [{"prompt": example.prompt, "completion": example.answer} for example in trained_on]
        ),
        processing_class=base.tokenizer,
        peft_config=LoraConfig(
            r=settings.lora_r,
            lora_alpha=settings.lora_alpha,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
        callbacks=[ByTurns()],
    )
    trainer.train()
    turns.tell({"eval_loss": answer_loss(trainer.model.eval(), encoded(base, judged))})


def encoded(base: Any, examples: Sequence[Example]) -> list[tuple[list[int], list[int]]]:
    """The tokens of each prompt and its answer."""
    return [
        (
            base.tokenizer(example.prompt)["input_ids"],
            base.tokenizer(example.answer, add_special_tokens=False)["input_ids"],
        )
        for example in examples
    ]


def answer_loss(model: Any, encoded: Sequence[tuple[list[int], list[int]]]) -> float:
    """Mean of -log p(answer | prompt) in nats, over all tokens of the answer and none after it."""
    import torch

    losses = []
    for prompt, answer in encoded:
        tokens = torch.tensor([prompt + answer], device=model.device)
        with torch.no_grad():
            logits = model(input_ids=tokens).logits[0, len(prompt) - 1 : -1].float()
        chosen = logits.log_softmax(-1).gather(1, tokens[0, len(prompt) :, None])
        losses.append(-float(chosen.sum()))
    return fmean(losses)


SIDES: dict[str, Callable[[argparse.Namespace, Path, Turns], None]] = {OURS: ours, PLAIN: plain}


@contextmanager
def trainer(side: str, device: str) -> Iterator[subprocess.Popen[str]]:
    """A process that trains by turns: it answers each line with a step, and the last with its figures."""
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.training", *sys.argv[1:], "--side", side],
        cwd=ROOT,
        env=os.environ | {"HF_HUB_OFFLINE": "1"} | hidden,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def answer_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit("a trainer ended before its time; what it said stands above")
    told: dict[str, Any] = json.loads(line)
    return told


def compare(device: str, steps: int) -> dict[str, float]:
    with trainer(OURS, device) as first, trainer(PLAIN, device) as second:
        sides = {OURS: first, PLAIN: second}
        took: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
        for side, process in sides.items():
            answer_of(process)  # the first step, with everything that comes before it
            took[side] = []
        for step in range(1, steps):
            for side, process in sides.items():
                assert process.stdin is not None
                print("", file=process.stdin, flush=True)
                took[side].append(answer_of(process))
            seconds = [took[side][-1]["seconds"] for side in sides]
            print(f"step {step + 1:4}   ours {seconds[0]:7.2f} s   plain TRL {seconds[1]:7.2f} s", flush=True)
        figures = {}
        for side, process in sides.items():
            assert process.stdin is not None
            print("", file=process.stdin, flush=True)
            figures[side] = answer_of(process)
    speed = {
        side: sum(one["tokens"] for one in took[side]) / sum(one["seconds"] for one in took[side])
        for side in sides
    }
    return {
        "tokens_per_s": round(speed[OURS], 1),
        "tokens_per_s_plain_trl": round(speed[PLAIN], 1),
        "speedup": round(speed[OURS] / speed[PLAIN], 2),
        "eval_loss": round(figures[OURS]["eval_loss"], 4),
        "eval_loss_plain_trl": round(figures[PLAIN]["eval_loss"], 4),
        "min_grad_norm": round(figures[OURS]["min_grad_norm"], 6),
        "peak_memory_gb": round(figures[OURS]["peak_memory_gb"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.training", description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], required=True)
    parser.add_argument("--steps", type=int, default=38)
    parser.add_argument("--rows", type=int, default=290)
    parser.add_argument("--base-model", help="a folder; left out: the base model of the tests")
    parser.add_argument("--side", choices=sorted(SIDES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.base_model = arguments.base_model or str(base_model_folder())
    if arguments.side is None:
        print(json.dumps(compare(arguments.device, arguments.steps)))
        return
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    import torch

    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA device here")
    with tempfile.TemporaryDirectory() as folder:
        SIDES[arguments.side](arguments, Path(folder), Turns(told, [time.perf_counter()]))


if __name__ == "__main__":
    main()
