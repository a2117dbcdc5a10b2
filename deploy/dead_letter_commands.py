"""`tuneloop dead-letters …`: records that a service could never handle, and what becomes of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from deploy.endings import Ending
from deploy.expected_error import ExpectedError
from deploy.run_command import ASKED, Debug, Json, System, Why, Yes, asking, run, terminal
from deploy.tables import print_table
from deploy.waiting_client import DeadLetters, Narrowed, WaitingClient
from deploy.what_waits import LETTERS, count_of, letter_rows, letters_in_words
from deploy.workloads_client import as_json

dead_letter_app = typer.Typer(
    no_args_is_help=True,
    help="Dead letters: records that a service set aside because it could never handle them.",
)

Id = Annotated[str, typer.Argument(help="Its id, or how that begins.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Ids, or how they begin. None: all that match.")]
OfTopic = Annotated[str | None, typer.Option("--topic", help="Only what came from this topic.")]
OfService = Annotated[str | None, typer.Option("--service", help="Only what this service set aside.")]
Since = Annotated[datetime | None, typer.Option("--since", help="Only what was set aside since then (UTC).")]
WHAT_TO_DO = "Look at one: tuneloop dead-letters show ID. Mend the cause, then replay them; or drop them."


@dead_letter_app.command("list")
def list_letters(
    context: typer.Context,
    topic: OfTopic = None,
    service: OfService = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest so many.")] = 50,
    data: System = None,
    in_json: Json = False,
    debug: Debug = False,
) -> None:
    """List those that nobody has decided about. What they hold is not shown."""

    async def show() -> None:
        async with asking(context, data) as (workloads, _):
            narrowed = Narrowed(topic, service, since)
            found = await WaitingClient(workloads.service).listed(narrowed, limit)
        if in_json:
            typer.echo(as_json(found.model_dump(mode="json")))
            return
        if found.letters:
            print_table(terminal, LETTERS, letter_rows(found.letters, datetime.now(UTC)))
            terminal.print()
        _say(letters_in_words(found))
        if found.letters:
            _say(WHAT_TO_DO)

    run(show(), debug)


@dead_letter_app.command("show")
def show_letter(
    context: typer.Context, letter_id: Id, data: System = None, in_json: Json = False, debug: Debug = False
) -> None:
    """Show one with key, headers and payload: personal data, perhaps."""

    async def show() -> None:
        async with asking(context, data) as (workloads, _):
            found = await WaitingClient(workloads.service).show(letter_id)
        if in_json:
            typer.echo(as_json(found))
            return
        for name in ("id", "at", "service", "topic", "partition", "offset", "reason"):
            _say(f"{name:<10} {found[name]}")
        _say(f"{'read from':<10} {_read_from(found)}")
        for name, value in found["headers"].items():
            _say(f"{'header':<10} {name}: {value}")
        for part in ("key", "value"):
            _say(f"{part:<10} {_text(found[part])}")

    run(show(), debug)


@dead_letter_app.command("replay")
def replay(
    context: typer.Context,
    ids: Ids = None,
    topic: OfTopic = None,
    service: OfService = None,
    since: Since = None,
    reason: Why = ASKED,
    yes: Yes = False,
    data: System = None,
    debug: Debug = False,
) -> None:
    """Publish them again where they came from. Ids stay, so that nothing is counted twice."""
    _decide(context, data, debug, "replay", "replayed", ids, Narrowed(topic, service, since), reason, yes)


@dead_letter_app.command("drop")
def drop(
    context: typer.Context,
    ids: Ids = None,
    topic: OfTopic = None,
    service: OfService = None,
    since: Since = None,
    reason: Why = ASKED,
    yes: Yes = False,
    data: System = None,
    debug: Debug = False,
) -> None:
    """Let them go: they are listed no more, and Kafka forgets them when their retention is over."""
    _decide(context, data, debug, "drop", "dropped", ids, Narrowed(topic, service, since), reason, yes)


def _decide(
    context: typer.Context, data: Any, debug: bool, what: str, done: str, ids: list[str] | None,
    narrowed: Narrowed, reason: str, yes: bool,
) -> None:  # fmt: skip
    async def decide() -> Ending:
        async with asking(context, data) as (workloads, _):
            letters = WaitingClient(workloads.service)
            if ids:
                count = sum([await letters.decide(one, what, reason) for one in ids])
            else:
                count = await _decide_all(letters, what, narrowed, reason, yes)
        return Ending(f"{count_of(count)} {done}.{_afterwards(what)}" if count else "Nothing matches.")

    run(decide(), debug)


async def _decide_all(letters: WaitingClient, what: str, narrowed: Narrowed, reason: str, yes: bool) -> int:
    found = await letters.listed(narrowed, 0)
    if not found.total:
        return 0
    if not yes:
        _confirmed(what, found)
    return await letters.decide_all(what, narrowed, found.total, reason)


def _confirmed(what: str, found: DeadLetters) -> None:
    """Raises ExpectedError where nobody can be asked, Abort when the answer is no."""
    if not terminal.is_terminal:
        raise ExpectedError(f"{letters_in_words(found)} To {what} them without being asked: --yes")
    typer.confirm(f"{letters_in_words(found)} {what.capitalize()} them?", abort=True)


def _afterwards(what: str) -> str:
    return " What is still invalid will be set aside once more." if what == "replay" else ""


def _read_from(found: dict[str, Any]) -> str:
    if found["is_original"]:
        return "its place on the topic it came from"
    return "what was set aside" if found["is_whole"] else "what was set aside: its head only"


def _text(part: dict[str, str]) -> str:
    return part["text"] if "text" in part else f"{part['base64']} (base64)"


def _say(words: str) -> None:
    terminal.print(words, soft_wrap=True, highlight=False, markup=False)
