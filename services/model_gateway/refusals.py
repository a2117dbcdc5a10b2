"""What a request is told that gets no answer: what happened, and what to do."""

from __future__ import annotations

from collections.abc import Iterable

from shared.problems import Problem, come_again

_KEY = "Idempotency-Key"
_NO_MODEL = "model_not_found"
_REFUSED = "champion_refused"
REFUSED_SECONDS = 60
"""At least so often a champion that could not be loaded again is tried."""


def unknown_workload(known: Iterable[str]) -> Problem:
    names = sorted(known)
    said = f"Known are: {', '.join(names)}." if names else "None is known yet; add one first."
    return Problem(
        404,
        "Unknown workload",
        f"`model` must be a workload's name. {said}",
        known_workloads=names,
        code=_NO_MODEL,
        param="model",
    )


def still_reading() -> Problem:
    return come_again("Starting", "The gateway still reads which workloads there are. Try again in a moment.")


def retired(workload: str) -> Problem:
    return Problem(
        404,
        "Retired",
        f"{workload} is retired: it answers nobody until it is added again.",
        workload=workload,
        code=_NO_MODEL,
        param="model",
    )


def not_listed(workload: str) -> Problem:
    return Problem(
        404, "No champion yet", f"{workload} has no model that answers yet.", code=_NO_MODEL, param="model"
    )


def no_champion(workload: str) -> Problem:
    return come_again(
        "No champion yet",
        f"{workload} has no model that passed its gates: its first training is under way. Try again later.",
        seconds=30,
    )


def champion_not_loaded(workload: str) -> Problem:
    return come_again(
        "Loading", f"The champion of {workload} is being loaded. Try again in a moment.", seconds=1
    )


def champion_refused(workload: str, why: str) -> Problem:
    """`why`: what is wrong with it, without an end. Nobody but an operator mends that."""
    return come_again(
        "Champion refused",
        f"The champion of {workload} cannot be loaded, and nothing answers in its place: {why}. Whoever "
        f"operates this has to restore it, or to roll back (tuneloop rollback {workload}).",
        seconds=REFUSED_SECONDS,
        code=_REFUSED,
    )


def model_server_down() -> Problem:
    return come_again("Model server down", "The model server does not answer. Try again in a moment.")


def model_server_refused() -> Problem:
    return Problem(
        502, "Model server refused", "The model server did not take the request; the gateway's log says why."
    )


def empty_text(param: str) -> Problem:
    return Problem(
        422,
        "Empty text",
        "The last user message (or the prompt) is the text; it must not be empty.",
        param=param,
    )


def text_too_long(param: str) -> Problem:
    return Problem(
        413,
        "Text too long",
        "A text may be at most 64 KiB of UTF-8.",
        code="string_above_max_length",
        param=param,
    )


def unsupported(param: str, said: str) -> Problem:
    return Problem(422, "Not supported", f"`{param}`: {said}", code="unsupported_parameter", param=param)


def wrong_key() -> Problem:
    return Problem(
        400,
        "Wrong Idempotency-Key",
        "An Idempotency-Key has 1 to 200 printable ASCII characters; a UUID is a good one.",
        param=_KEY,
    )


def key_used_before() -> Problem:
    return Problem(
        422,
        "Idempotency-Key used before",
        "This Idempotency-Key came before with another request. Use it again only to send the same again.",
        code="idempotency_key_reused",
        param=_KEY,
    )


def beyond_context() -> Problem:
    return Problem(
        422,
        "Text too long for the model",
        "The text does not fit the model's context. Shorten it.",
        code="context_length_exceeded",
    )


def not_recorded() -> Problem:
    """507: no answer is given that is not on record, because it could be neither reviewed nor corrected."""
    return Problem(
        507,
        "No room for the record",
        "The answer could not be recorded, so it is not given. The gateway's disk needs room.",
        headers={"Retry-After": "10"},
    )
