"""What clients send, as vLLM spells it. Fields not listed here are ignored."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from deploy.laptop.model_server.batching import Sampling
from deploy.laptop.model_server.limits import MOST_LOGPROBS

MOST_PROMPTS = 256

LEAST_TEMPERATURE = 0.01
"""Below it, and above 0, numbers overflow: it is taken instead, as vLLM does."""


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("is no text: half of a surrogate pair") from None
    return text


Text = Annotated[str, AfterValidator(_encodable)]
TokenIds = list[Annotated[int, Field(ge=0)]]


class _Request(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    model: Text | None = None
    """None: the base model."""


class StreamOptions(BaseModel):
    include_usage: bool = False


class _Generation(_Request):
    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: Text | list[Text] | None = None
    allowed_token_ids: TokenIds | None = Field(default=None, min_length=1)
    return_tokens_as_token_ids: bool | None = None
    n: int = Field(default=1, ge=1, le=1)
    stream: bool = False
    stream_options: StreamOptions | None = None

    def sampling(self, max_tokens: int) -> Sampling:
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return Sampling(
            max_tokens=max_tokens,
            temperature=self._drawing_temperature(),
            top_p=1.0 if self.top_p is None else self.top_p,
            seed=self.seed,
            stop=tuple(stop for stop in stops if stop),
            allowed=None if self.allowed_token_ids is None else tuple(dict.fromkeys(self.allowed_token_ids)),
            logprobs=self.wanted_logprobs(),
        )

    def _drawing_temperature(self) -> float:
        if self.temperature is None:
            return 1.0
        return max(self.temperature, LEAST_TEMPERATURE) if self.temperature else 0.0

    def wanted_logprobs(self) -> int | None:
        """How many of the likeliest tokens to tell for each answered one; None: tell nothing."""
        raise NotImplementedError


class CompletionRequest(_Generation):
    prompt: Text | TokenIds | list[Text] | list[TokenIds]
    max_tokens: int | None = Field(default=16, ge=1)
    logprobs: int | None = Field(default=None, ge=0, le=MOST_LOGPROBS)

    def wanted_logprobs(self) -> int | None:
        return self.logprobs

    def prompts(self) -> list[str | list[int]]:
        """One prompt or several, whichever way they came."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if self.prompt and isinstance(self.prompt[0], int):
            return [[token for token in self.prompt if isinstance(token, int)]]
        return [prompt for prompt in self.prompt if not isinstance(prompt, int)]


class TextPart(BaseModel):
    type: str = Field(pattern="^text$")
    text: Text


class Message(BaseModel):
    role: Text
    content: Text | list[TextPart]

    def text(self) -> dict[str, str]:
        content = self.content
        return {
            "role": self.role,
            "content": content if isinstance(content, str) else "\n".join(part.text for part in content),
        }


class ChatRequest(_Generation):
    messages: list[Message] = Field(min_length=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=MOST_LOGPROBS)

    def wanted_logprobs(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None

    def wanted_tokens(self) -> int | None:
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


class TokenizeRequest(_Request):
    prompt: Text
    add_special_tokens: bool = True


class LoadRequest(BaseModel):
    lora_name: Text = ""
    lora_path: Text = Field(default="", pattern=r"^[^\x00]*$")


class UnloadRequest(BaseModel):
    lora_name: Text = ""


class Refusal(Exception):
    """An answer other than 200, in OpenAI's shape. `kind` is vLLM's word for it."""

    def __init__(self, status: int, message: str, kind: str = "BadRequestError") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind

    def body(self) -> dict[str, object]:
        return {
            "error": {"message": str(self), "type": self.kind, "param": None, "code": self.status},
        }
