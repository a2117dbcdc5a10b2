"""Every route says what one must be allowed to do; and what a key of each role is answered."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
OPEN = {"/health/live", "/health/ready", "SIGN_IN", "STYLE", "/sign-out", "OIDC", "OIDC_BACK"}
"""What an orchestrator asks, and where people come in and go."""
OF_NOBODY = {"/docs"}
"""What shows nothing of anybody's: whoever comes in may see it."""
METHODS = {"get", "post", "put", "patch", "delete"}


def routes() -> list[tuple[str, str, ast.AsyncFunctionDef | ast.FunctionDef, ast.Call]]:
    """(file, path, function, decorator) of everything that is a route."""
    found = []
    for file in sorted((ROOT / "services").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
                continue
            for decorator in node.decorator_list:
                if (
                    isinstance(decorator, ast.Call)
                    and isinstance(decorator.func, ast.Attribute)
                    and decorator.func.attr in METHODS
                    and ast.unparse(decorator.func.value) in ("router", "app")
                ):
                    [given, *_] = decorator.args
                    path = str(given.value) if isinstance(given, ast.Constant) else ast.unparse(given)
                    found.append((str(file.relative_to(ROOT)), path, node, decorator))
    return found


def says_a_verb(file: str, function: ast.AsyncFunctionDef | ast.FunctionDef, route: ast.Call) -> bool:
    said = ast.unparse(route) + "".join(map(ast.unparse, function.decorator_list))
    said += ast.unparse(function.args)
    aliases = {
        node.targets[0].id
        for node in ast.parse((ROOT / file).read_text("utf-8")).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and "Depends(May(Verb." in ast.unparse(node.value)
    }
    return "Verb." in said or any(f": {alias}" in said for alias in aliases)


def test_there_are_routes() -> None:
    assert len(routes()) > 30


@pytest.mark.parametrize(
    ("file", "path", "function", "route"), [pytest.param(*one, id=f"{one[0]} {one[1]}") for one in routes()]
)
def test_every_route_says_what_one_must_be_allowed_to_do(
    file: str, path: str, function: ast.AsyncFunctionDef | ast.FunctionDef, route: ast.Call
) -> None:
    assert says_a_verb(file, function, route) != (path in OPEN | OF_NOBODY)
