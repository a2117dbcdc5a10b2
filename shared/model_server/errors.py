"""What can go wrong with a model server, by what to do about it."""

from __future__ import annotations


class ModelServerDown(Exception):
    """The model server does not answer, or answers that it cannot now. Try again."""


class ModelServerFailed(ModelServerDown):
    """The model server answers 500: it tried and could not. `said` is its own text."""

    def __init__(self, said: str) -> None:
        super().__init__("the model server answered 500")
        self.said = said


class AdapterNotFound(ModelServerDown):
    """The model server finds no adapter where it was told to look. Mount the files; it is tried again."""

    def __init__(self, server: str, path: str) -> None:
        super().__init__(
            f"the model server at {server} finds no adapter at {path}. It has to see what FILES_URI names: "
            "mount it there, and set MODELS_FILES_FOLDER to the folder in which the model server sees it"
        )


class UnknownModel(Exception):
    """The model server does not list this model or adapter. Load it first."""


class PromptTooLong(Exception):
    """The prompt does not fit the model's context."""


class ModelServerRefused(Exception):
    """The model server will not do this. The message is the server's own."""


def error_of(status: int, text: str) -> Exception:
    """The error that an answer other than 200 stands for."""
    if status == 404:
        return UnknownModel(text[:500])
    if status == 400 and "maximum context length" in text:
        return PromptTooLong("the text is longer than the model's context")
    if status == 500:
        return ModelServerFailed(f"{status}: {text[:500]}")
    if status in (429, 502, 503, 504):
        return ModelServerDown(f"the model server answered {status}")
    return ModelServerRefused(f"{status}: {text[:500]}")
