"""The import contract "everything decides purely, except": what need not be pure is listed, with a reason.

import-linter's own contracts list the modules they bind: a new file is free until somebody adds it. Here a
new file is bound until somebody says why not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from grimp import ImportGraph
from importlinter.application import output
from importlinter.domain import fields
from importlinter.domain.contract import Contract, ContractCheck

CLOCKS = {"now", "utcnow", "today", "monotonic", "perf_counter", "sleep"}


class PureContract(Contract):
    """No module of `packages` reaches a forbidden one or reads a clock, but for its rooms and doors.

    `rooms` are file names that mean the same in every service; `doors` are modules, or `package.*` for what
    stands in a package. Both are written "name: reason". An exception that nothing needs breaks it too.
    """

    type_name = "pure"

    # Any: import-linter puts the parsed list in the field's place.
    packages: Any = fields.ListField(subfield=fields.StringField())
    rooms: Any = fields.ListField(subfield=fields.StringField())
    doors: Any = fields.ListField(subfield=fields.StringField())
    forbidden_modules: Any = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        faults = list(self._faults(graph))
        return ContractCheck(kept=not faults, metadata={"faults": faults})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for fault in check.metadata["faults"]:
            output.print_error(fault)
        output.new_line()
        output.print_error("Move what is impure into a room or a door, or list the module in pyproject.toml.")

    def _faults(self, graph: ImportGraph) -> Iterator[str]:
        rooms, doors = dict(_with_reason(self.rooms)), dict(_with_reason(self.doors))
        yield from (f"{name} has no reason" for name, reason in (rooms | doors).items() if not reason)
        forbidden = set(self.forbidden_modules) & graph.modules
        used = set()
        for module in sorted(graph.modules):
            if not module.startswith(tuple(f"{package}." for package in self.packages)):
                continue
            impurities = [*_impure_imports(graph, module, forbidden), *_clocks_read(module)]
            exception = _exception(module, rooms, doors)
            if exception is None:
                yield from (f"{module} is no room and no door, but {impurity}" for impurity in impurities)
            elif impurities:
                used.add(exception)
        yield from (
            f"{door} is pure now, or gone: take it off the list" for door in sorted(set(doors) - used)
        )


def _with_reason(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, _, reason = line.partition(":")
        yield name, reason.strip()


def _exception(module: str, rooms: Iterable[str], doors: Iterable[str]) -> str | None:
    """The listed name that frees this module: `services.<service>.<room>`, or a door."""
    parts = module.split(".")
    if len(parts) == 3 and parts[0] == "services" and parts[2] in rooms:
        return parts[2]
    return next((door for door in doors if fnmatchcase(module, door)), None)


def _impure_imports(graph: ImportGraph, module: str, forbidden: set[str]) -> Iterator[str]:
    for name in sorted(graph.find_upstream_modules(module) & forbidden):
        chain = graph.find_shortest_chain(importer=module, imported=name) or ()
        yield f"imports {' -> '.join(chain[1:])}"


def _clocks_read(module: str) -> Iterator[str]:
    """Calls that read a clock: an import does not show them, for `datetime` is a type as well."""
    found = find_spec(module)
    if found is None or found.origin is None:
        return
    for node in ast.walk(ast.parse(Path(found.origin).read_text("utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in CLOCKS:
                yield f"calls {ast.unparse(node.func)}() in line {node.lineno}"
