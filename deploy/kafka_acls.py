"""`python -m deploy.kafka_acls`: a script that allows each service, and apps, what they do on Kafka."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable
from itertools import groupby

from shared.flow import FLOW
from shared.kafka_acls import Acl, Resource, acls_of, acls_of_apps

APP = "app"
FLAGS = {Resource.TOPIC: "--topic", Resource.GROUP: "--group"}
HEAD = """\
#!/bin/sh -e
# Made from shared/flow.py. BOOTSTRAP and ADMIN: the brokers, and the settings of a user who may alter access.
allow() {
  kafka-acls.sh --bootstrap-server "${BOOTSTRAP:?}" --command-config "${ADMIN:?}" --add --allow-principal "$@"
}"""


def principals() -> dict[str, frozenset[Acl]]:
    """Everybody who speaks to Kafka: each service, and an app."""
    return {**{service: acls_of(service) for service in FLOW}, APP: acls_of_apps()}


def commands(principal: str, acls: Iterable[Acl]) -> list[str]:
    """One for all names that get the same operations."""
    operations: dict[tuple[Resource, bool, str], list[str]] = {}
    for acl in sorted(acls):
        operations.setdefault((acl.resource, acl.is_prefix, acl.name), []).append(acl.operation)
    rows = sorted((resource, is_prefix, of, name) for (resource, is_prefix, name), of in operations.items())
    made = []
    for (resource, is_prefix, of), same in groupby(rows, lambda row: row[:3]):
        words = ["allow", principal]
        words += [word for one in of for word in ("--operation", _as_the_tool_says(one))]
        words += [word for *_, name in same for word in (FLAGS[resource], name)]
        words += ["--resource-pattern-type", "prefixed"] if is_prefix else []
        made.append(shlex.join(words))
    return made


def _as_the_tool_says(operation: str) -> str:
    """`DescribeConfigs` for DESCRIBE_CONFIGS."""
    return operation.title().replace("_", "")


def main() -> int:
    known = principals()
    parser = argparse.ArgumentParser(prog="python -m deploy.kafka_acls", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; default: all")
    parser.add_argument(
        "--principal",
        default="User:tuneloop-{name}",
        help="how Kafka knows them; with certificates such as User:CN={name} (default: %(default)s)",
    )
    asked = parser.parse_args()
    if unknown := [name for name in asked.names if name not in known]:
        parser.error(f"nobody is called {unknown[0]}: choose from {', '.join(known)}")
    print(HEAD)
    for name in asked.names or known:
        print(f"\n# {name}", *commands(asked.principal.format(name=name), known[name]), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
