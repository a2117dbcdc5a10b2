"""What a training needs before its first step: rows split, settings decided, room proved, contract known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from services.retraining import base_model as base_models
from services.retraining.fusion_parts import with_its_adapters
from services.retraining.job_messages import TrainTask
from services.retraining.room import needs, why_no_room
from services.retraining.target_modules import why_no_targets
from services.retraining.training_outcome import CannotTrain
from services.retraining.training_rows import Example, Probe, TrainingRows, probes
from services.retraining.validation_split import split
from shared.adapters.base_model_digest import base_model_digest
from shared.adapters.contract import AdapterContract
from shared.training.base_model_shape import BaseModelShape
from shared.training.defaults import plan, seed, validated
from shared.training.memory import Estimate
from shared.training.plan import TrainingPlan

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Prepared:
    base_model: str
    """A folder, or a hub's id."""
    plan: TrainingPlan
    needed: Estimate | None
    """None for a base model of unknown shape."""
    contract: AdapterContract
    train_rows: Sequence[Row]
    examples: Sequence[Example]
    """Of the rows that are trained on, in their order."""
    validation_rows: Sequence[Row]
    validation: Sequence[Example]
    cut: int
    """Texts that lost their middle."""

    def of_rank(self, lora_r: int | None) -> Prepared:
        """With the rank that came of it, where the method found its own.

        Such an adapter holds the differences as they are: alpha is its rank, so it counts once.
        """
        if lora_r is None:
            return self
        found = {"lora_r": lora_r, "lora_alpha": lora_r, "use_rslora": False}
        training = self.contract.training | found
        contract = self.contract.model_copy(update={"training": training, "lora_r": lora_r})
        return replace(self, plan=self.plan.model_copy(update=found), contract=contract)

    @property
    def probes(self) -> tuple[list[Probe], list[Probe]]:
        """Validation rows, and those that are trained on."""
        return probes(self.validation_rows, self.validation), probes(self.train_rows, self.examples)


def prepared(
    task: TrainTask, base_model: str, rows: Sequence[Row], folder: Path, highest_rank: int
) -> Prepared:
    """`rows` have labels of now; what is trained is written below `folder`; the server takes `highest_rank`.

    Raises BaseModelMissing, CannotTrain, PromptTooLong.
    """
    added, workload = task.added, task.added.definition
    training = with_its_adapters(workload.training, [adapter.name for adapter in task.adapters])
    base = base_models.describe(base_model)
    tokens = base_models.tokens_of(base.tokenizer, added.answers)
    training_rows = TrainingRows(workload, added.answers, base.count)
    train_rows, validation_rows = split(rows, validated(len(rows), training.validation_share), seed(training))
    longest = training_rows.longest(rows)
    planned = plan(
        training,
        len(rows),
        len(workload.labels),
        longest,
        base.parameters,
        base_models.this_device(),
        base.context,
        len(validation_rows),
    )
    if planned.method in ("lora", "qlora") and planned.lora_r > highest_rank:
        raise CannotTrain(
            f"rank {planned.lora_r} is above {highest_rank}, the highest that the model server takes "
            "(RETRAINING_LORA_RANK). Lower training.lora_r, or raise both."
        )
    if reason := why_no_targets(planned.target_modules, base.linear_layers):
        raise CannotTrain(reason)
    shape = BaseModelShape.of(base.config.to_dict())
    needed = needs(planned, shape, longest, base_models.attention(planned.device))
    if needed and (reason := why_no_room(planned, needed, folder)):
        raise CannotTrain(reason)
    examples, cut = training_rows.examples(train_rows, planned.max_length)
    validation, cut_there = training_rows.examples(validation_rows, planned.max_length)
    contract = AdapterContract.of(
        added,
        tokens,
        dataset_id=task.dataset.dataset_id,
        dataset_digest=task.dataset.train.digest,
        base_model_digest=base_model_digest(Path(base_model)),
        tokenizer_digest=base_models.digest_of_tokenizer(base.tokenizer),
        method=planned.method,
        training=planned.model_dump(mode="json"),
        lora_r=planned.lora_r,
    )
    return Prepared(
        base_model,
        planned,
        needed,
        contract,
        train_rows,
        examples,
        validation_rows,
        validation,
        cut + cut_there,
    )
