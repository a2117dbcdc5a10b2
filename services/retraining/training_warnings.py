"""What an owner should know about a training that went well."""

from __future__ import annotations

from shared.training.plan import TrainingPlan


def warnings(plan: TrainingPlan, train_rows: int, rows_seen: int, cut: int) -> tuple[str, ...]:
    """A sentence each. `cut`: texts that lost their middle."""
    said = []
    if plan.max_steps and rows_seen < train_rows:
        said.append(
            f"{train_rows - rows_seen} of {train_rows} training rows were never seen: the training ended "
            f"after {rows_seen / train_rows:.2f} epochs. Raise training.max_steps and training.epochs, or "
            "leave them out."
        )
    if cut:
        said.append(
            f"{cut} of {plan.rows} texts were longer than {plan.max_length} tokens with prompt and answer "
            "and lost their middle in training. A model server reads such texts whole, or refuses them."
        )
    return tuple(said)
