"""What apps send, in OpenAI's shapes. Fields that steer free text (temperature, max_tokens, …) are ignored.

Reference: OpenAI's API reference, chat completions and completions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from shared.fields import MAX_TEXT_BYTES, Id

Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]
"""OpenAI's limits."""
GROUP = "group_id"
"""The key of `metadata` that says what a request belongs to: a document, a thread, a ticket."""
_ID: TypeAdapter[str] = TypeAdapter(Id)


class EmptyText(Exception):
    """There is nothing to classify."""


class TextTooLong(Exception):
    """The text is longer than 64 KiB of UTF-8."""


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
    include_usage: bool = False


class _Request(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    model: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    metadata: Metadata | None = None
    n: Literal[1] | None = None
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

    def _asked(self, text: str, top_logprobs: int | None) -> Asked:
        if not text.strip():
            raise EmptyText
        if len(text.encode()) > MAX_TEXT_BYTES:
            raise TextTooLong
        metadata = self.metadata or {}
        return Asked(
            workload=self.model,
            text=text,
            stream=bool(self.stream),
            stream_usage=self.stream_options is not None and self.stream_options.include_usage,
            top_logprobs=top_logprobs,
            attributes={key: value for key, value in metadata.items() if key != GROUP},
            user=self.user,
            group_id=metadata.get(GROUP),
        )


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class Message(BaseModel):
    role: str
    content: str | list[TextPart] | None = None


class ChatRequest(_Request):
    messages: Annotated[list[Message], Field(min_length=1)]
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    def asked(self) -> Asked:
        """The last user message is the text. Raises EmptyText, TextTooLong."""
        content = next((said.content for said in reversed(self.messages) if said.role == "user"), None)
        text = "".join(part.text for part in content) if isinstance(content, list) else content or ""
        return self._asked(text, (self.top_logprobs or 0) if self.logprobs else None)


class CompletionRequest(_Request):
    prompt: str
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    def asked(self) -> Asked:
        """The prompt is the text. Raises EmptyText, TextTooLong."""
        return self._asked(self.prompt, self.logprobs)
