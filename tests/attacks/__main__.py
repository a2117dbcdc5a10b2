"""`python -m tests.attacks [--only KIND] [--load]`: every attack against a freshly started installation.

Prints a line for each as it goes, and ends with one line of JSON: how many there were, how many were refused,
and which succeeded. The exit code is 1 when any did.
"""

from __future__ import annotations

import argparse
import json
import pkgutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

import tests.attacks
from tests.attacks.attack import Attack
from tests.attacks.load import Load, loaded
from tests.attacks.target import Target, installation


def attacks() -> list[Attack]:
    """Of every file here, in the order in which they are written."""
    names = sorted(one.name for one in pkgutil.iter_modules(tests.attacks.__path__) if one.name != "__main__")
    modules = [import_module(f"tests.attacks.{name}") for name in names]
    return [one for module in modules for one in vars(module).values() if isinstance(one, Attack)]


def outcome(attack: Attack, target: Target) -> str:
    """Empty when refused. What ends in an error, or leaves the installation unwell, has succeeded."""
    try:
        succeeded = attack.run(target)
    except Exception as error:  # whatever it is, it is no refusal
        return f"ended in {type(error).__name__}: {error}"
    return succeeded or ("" if target.is_well() else "the installation is not well afterwards")


def main(arguments: Sequence[str]) -> int:
    found = attacks()
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--only", choices=sorted({one.kind for one in found}), help="one kind")
    parser.add_argument("--load", action="store_true", help="with ordinary requests beside them")
    given = parser.parse_args(arguments)
    chosen = [one for one in found if given.only in (None, one.kind)]
    succeeded = []
    with tempfile.TemporaryDirectory(prefix="attacks-") as folder, installation(Path(folder)) as target:
        with loaded(target) if given.load else nullcontext(Load()) as load:
            for one in chosen:
                began = time.monotonic()
                said = outcome(one, target)
                if said:
                    succeeded.append(one.name)
                end = f"SUCCEEDED: {said}" if said else "refused"
                print(f"{one.kind:<14} {one.name:<52} {time.monotonic() - began:5.1f} s  {end}", flush=True)
        if given.load:
            print(
                f"beside them {load.requests} requests, {load.failed} not answered, "
                f"the slowest after {load.slowest_seconds:.1f} s"
            )
    refused = len(chosen) - len(succeeded)
    print(json.dumps({"attacks": len(chosen), "refused": refused, "succeeded": succeeded}))
    return 1 if succeeded else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
