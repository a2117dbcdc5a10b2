"""Which tests are slow: those that start something, by themselves, by a fixture or by what these call.

Nobody marks a test: its code says it. Starting something is calling what `tests/servers` offers, starting the
laptop, opening a browser, or starting a process.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import CodeType, FunctionType, ModuleType

import pytest

STARTERS = ("tests.servers", "tests.services.console.browser", "deploy.laptop.laptop")
PROCESSES = ("subprocess", "create_subprocess_exec", "Popen")
FREE = ("free_port", "test_cache", "ROOT", "MODEL")
"""What `tests/servers` offers without starting anything."""


def is_slow(item: pytest.Item) -> bool:
    """Whether this test, or a fixture that it uses, starts something."""
    if not isinstance(item, pytest.Function):
        return False
    fixtures = (found[-1].func for found in item._fixtureinfo.name2fixturedefs.values())
    return any(starts_something(function) for function in (item.function, *fixtures))


@cache
def starts_something(thing: object) -> bool:
    """Whether the code of a function or class of the tests, or of one that it names, starts something."""
    seen: set[object] = set()
    waiting: list[object] = [thing]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        for function in _functions(one):
            for name in _names(function.__code__):
                if name in PROCESSES:
                    return True
                named = function.__globals__.get(name)
                module = str(
                    getattr(named, "__name__" if isinstance(named, ModuleType) else "__module__", "")
                )
                if name not in FREE and module.startswith(STARTERS):
                    return True
                if module.startswith("tests.") and isinstance(named, FunctionType | type):
                    waiting.append(named)
    return False


def _functions(thing: object) -> Iterator[FunctionType]:
    """The function behind a fixture or a context manager; a class's methods."""
    if isinstance(thing, type):
        for member in vars(thing).values():
            yield from _functions(getattr(member, "fget", None) or getattr(member, "__func__", member))
    else:
        while wrapped := getattr(thing, "__wrapped__", None):
            thing = wrapped
        if isinstance(thing, FunctionType):
            yield thing


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
