"""What counts as the same request, sent again, and that no other app's does."""

from __future__ import annotations

from services.model_gateway.answer import Answer
from services.model_gateway.held_answers import Repeats
from services.model_gateway.openai_requests import Asked
from services.model_gateway.sent_again import Sent
from shared.access.principal import LOCAL_PRINCIPAL, Principal
from shared.access.roles import Role
from shared.events import now
from tests.services.model_gateway.test_held_answers import Time

SHOP, MAIL = (Principal(name, Role.APP, None, f"key of {name}") for name in ("p-shop", "p-mail"))
KEY, RETRY = (b"idempotency-key", b"batch-42"), (b"x-stainless-retry-count", b"1")
TEXT, OTHER = (
    Asked("tickets", text, stream=False, stream_usage=False, top_logprobs=None, attributes={})
    for text in ("Where is my money?", "Nothing works")
)


class Asking:
    """Answers each time under the id that it is told to, or under a number."""

    def __init__(self) -> None:
        self._repeats = Repeats(60.0, 1 << 20, Time())
        self._answers = 0

    async def __call__(self, asked: Asked, principal: Principal, *headers: tuple[bytes, bytes]) -> str:
        answer, _ = await self._repeats.answer(asked, Sent.of(headers, principal), self._answer)
        return answer.prediction_id

    async def _answer(self, prediction_id: str | None) -> Answer:
        self._answers += 1
        return Answer(prediction_id or f"number {self._answers}", now(), "refund", 0.9, {}, "tickets-1", 12)


async def test_two_apps_that_send_one_key_are_answered_each_for_itself() -> None:
    ask = Asking()
    first = await ask(TEXT, SHOP, KEY)
    assert await ask(OTHER, MAIL, KEY) != first
    assert await ask(TEXT, SHOP, KEY) == first


async def test_an_app_that_has_a_new_key_is_the_same_app() -> None:
    ask, renewed = Asking(), Principal(SHOP.id, SHOP.role, None, "its next key")
    assert await ask(TEXT, SHOP, KEY) == await ask(TEXT, renewed, KEY)
    bearers = [(b"authorization", f"Bearer {number}".encode()) for number in range(2)]
    assert await ask(TEXT, SHOP, RETRY, bearers[0]) == await ask(TEXT, renewed, RETRY, bearers[1])
    assert await ask(TEXT, MAIL, RETRY, bearers[0]) != await ask(TEXT, SHOP, RETRY, bearers[0])


async def test_without_keys_a_clients_own_retry_goes_by_what_it_sends_for_a_key() -> None:
    ask = Asking()
    one, two = ((b"authorization", f"Bearer sk-{name}".encode()) for name in ("one", "two"))
    assert await ask(TEXT, LOCAL_PRINCIPAL, RETRY, one) == await ask(TEXT, LOCAL_PRINCIPAL, RETRY, one)
    assert await ask(TEXT, LOCAL_PRINCIPAL, RETRY, two) != await ask(TEXT, LOCAL_PRINCIPAL, RETRY, one)
    assert await ask(TEXT, LOCAL_PRINCIPAL, KEY, one) == await ask(TEXT, LOCAL_PRINCIPAL, KEY, two)
