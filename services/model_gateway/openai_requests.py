"""What apps may ask, in OpenAI's shapes, and the text and the workload that it comes down to.

Reference: OpenAI's API reference, chat completions and completions. What only steers how free text is written
(temperature, max_tokens, seed, stop and the like) is ignored, as is what this page does not name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from services.model_gateway.openai_limits import Unsupported, refuse_unsupported
from shared.fields import MAX_TEXT_BYTES, Id

Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]
"""OpenAI's limits."""
GROUP = "group_id"
"""The key of `metadata` that says what a request belongs to: a document, a thread, a ticket."""
_ID: TypeAdapter[str] = TypeAdapter(Id)
_TEXT = {"type": "string", "minLength": 1, "description": "At most 64 KiB of UTF-8."}
_PROMPT = {
    "description": "The text.",
    "anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 1}],
}


class EmptyText(Exception):
    """There is nothing to classify. The message names the field."""


class TextTooLong(Exception):
    """The text is longer than 64 KiB of UTF-8. The message names the field."""


@dataclass(frozen=True)
class Asked:
    """What is asked, whichever of the two ways it came."""

    workload: str
    text: str
    stream: bool
    stream_usage: bool
    top_logprobs: int | None
    """How many of the likeliest labels to tell; None: tell no log-probabilities."""
    attributes: dict[str, str]
    user: str | None = field(default=None, repr=False)
    """The app's own name for whoever asks. It goes no further than its `subject_id`."""
    group_id: str | None = None


class StreamOptions(BaseModel):
    include_usage: bool | None = None


class _Request(BaseModel):
    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    model: Annotated[
        str, Field(min_length=1, max_length=200, description="A workload's name.", examples=["tickets"])
    ]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    metadata: Metadata | None = None
    user: str | None = None

    @field_validator("metadata")
    @classmethod
    def _its_group_is_an_id(cls, metadata: dict[str, str] | None) -> dict[str, str] | None:
        if metadata is not None and GROUP in metadata:
            try:
                _ID.validate_python(metadata[GROUP])
            except ValidationError:
                raise ValueError(f"{GROUP} must be 1 to 128 letters, digits, . _ : or -") from None
        return metadata

    def _asked(self, named: str, text: str, top_logprobs: int | None) -> Asked:
        """`named`: the field that the text is in."""
        refuse_unsupported(self.model_extra or {})
        if not text.strip():
            raise EmptyText(named)
        if len(text.encode()) > MAX_TEXT_BYTES:
            raise TextTooLong(named)
        metadata = self.metadata or {}
        return Asked(
            workload=self.model,
            text=text,
            stream=bool(self.stream),
            stream_usage=self.stream_options is not None and bool(self.stream_options.include_usage),
            top_logprobs=top_logprobs,
            attributes={key: value for key, value in metadata.items() if key != GROUP},
            user=self.user,
            group_id=metadata.get(GROUP),
        )


class Message(BaseModel):
    role: str
    content: Any = None
    """Read of the last user message only: a text, or a list of parts that are texts."""


class ChatRequest(_Request):
    messages: Annotated[list[Message], Field(min_length=1, description="The last user message is the text.")]
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    def asked(self) -> Asked:
        """The last user message is the text. Raises EmptyText, TextTooLong, Unsupported."""
        users = (
            number for number in reversed(range(len(self.messages))) if self.messages[number].role == "user"
        )
        last = next(users, None)
        if last is None:
            raise EmptyText("messages")
        named = f"messages[{last}].content"
        text = _text_of(self.messages[last].content, named)
        return self._asked(named, text, (self.top_logprobs or 0) if self.logprobs else None)


class CompletionRequest(_Request):
    prompt: Annotated[Any, Field(json_schema_extra=_PROMPT)]
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    def asked(self) -> Asked:
        """The prompt is the text. Raises EmptyText, TextTooLong, Unsupported."""
        return self._asked("prompt", _prompt(self.prompt), self.logprobs)


def _prompt(prompt: Any) -> str:
    match prompt:
        case str(text) | [str(text)]:
            return text
        case [str(), *_]:
            raise Unsupported("prompt", "Send one text a request: each answer has an id of its own.")
        case None | []:
            raise EmptyText("prompt")
    raise Unsupported("prompt", "Send the text itself, not its tokens: it is kept and read by people.")


def _text_of(content: Any, named: str) -> str:
    """One text of a message's content."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise Unsupported(named, "The content must be a text, or a list of parts that are texts.")
    texts = []
    for number, part in enumerate(content):
        match part:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case _:
                raise Unsupported(
                    f"{named}[{number}]", "Only text can be read; images, audio and files are no part of it."
                )
    return "".join(texts)
