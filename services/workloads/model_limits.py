"""What a workload may ask of the model server and of training, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping

from services.workloads.complaints import Complaint
from shared.model_server.answers import ServerLimits
from shared.redaction.rules import cannot_redact
from shared.training.defaults import LORA_R
from shared.workload import Workload

BESIDES_THE_PROMPT = 2  # tokens: a first one that some models put before every text, and the answer


def complaints(
    workload: Workload, base_models: Mapping[str, int], lora_rank: int, server: ServerLimits
) -> list[Complaint]:
    """What cannot be done. `base_models`: those served, each with its context's length in tokens.

    `lora_rank` is what retraining goes up to; what the model server itself tells holds as well.
    """
    found = []
    if workload.base_model not in base_models:
        served = ", ".join(sorted(base_models)) or "none"
        found.append(
            Complaint(
                "base_model",
                f'the model server does not serve "{workload.base_model}". It serves {served}: choose one, '
                "or start it with this one.",
            )
        )
    rank = workload.training.lora_r or LORA_R
    loads = min(lora_rank, server.max_lora_rank or lora_rank)
    if rank > loads:
        found.append(
            Complaint(
                "training.lora_r",
                f"{rank} is more than the model server loads ({loads}). Lower it, or "
                "start vLLM with a higher --max-lora-rank and tell retraining so (RETRAINING_LORA_RANK).",
            )
        )
    labels, tells = len(workload.labels), server.max_logprobs
    if tells is not None and labels > tells:
        found.append(too_many_labels(labels, f"it tells {tells} at once"))
    if why_not := cannot_redact(workload.language, workload.privacy.entities):
        found.append(Complaint("privacy", why_not))
    return found


def surely_fits(prompt: str, context: int) -> bool:
    """Whether a prompt fits without asking the tokenizer: no token is shorter than a byte."""
    return len(prompt.encode("utf-8", "surrogatepass")) + BESIDES_THE_PROMPT <= context


def fits(tokens: int, context: int) -> bool:
    return tokens + BESIDES_THE_PROMPT <= context


def too_long(text: str, tokens: int, context: int, base_model: str) -> Complaint:
    """The text itself is shown by its beginning only."""
    return Complaint(
        "rows",
        f"the text “{text[:40]}…” takes {tokens} tokens with its prompt, and "
        f"{context - BESIDES_THE_PROMPT} fit into the context of {base_model}. Shorten it or leave it out.",
    )


def too_many_labels(labels: int, answer: str) -> Complaint:
    return Complaint(
        "labels",
        f"the model server does not tell the probabilities of {labels} labels ({answer}). Use fewer labels, "
        "or two workloads, the first of which chooses among groups; vLLM's limit is --max-logprobs.",
    )
