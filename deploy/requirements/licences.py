"""`python -m deploy.requirements.licences sbom.json`: which licences bind whoever passes tuneloop on.

It is under Apache-2.0, and what imports a library under the GPL or the AGPL may only be passed on under
theirs.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

BINDING = re.compile(r"(?<!L)(?<!Lesser )A?GPL|GNU (Affero )?General Public", re.I)
ELSEWHERE: dict[str, str] = {}
"""Packages that name such a licence and do not bind, with the reason."""


def binding(sbom: dict[str, Any]) -> list[str]:
    """The components that can be had under such a licence alone, with what they say."""
    found = []
    for component in sbom.get("components", []):
        said = [_said(one) for one in component.get("licenses", [])]
        choices = [choice for one in said for choice in re.split(r"\bOR\b", one)]
        if choices and all(BINDING.search(choice) for choice in choices):
            found.append(f"{component['name']} {component['version']}: {', '.join(said)}")
    return found


def unknown(sbom: dict[str, Any]) -> list[str]:
    """The components that say nothing of their licence."""
    return [
        f"{one['name']} {one['version']}" for one in sbom.get("components", []) if not one.get("licenses")
    ]


def _said(licence: dict[str, Any]) -> str:
    inner = licence.get("license", {})
    return str(licence.get("expression") or inner.get("id") or inner.get("name") or "")


def main(path: Path) -> int:
    sbom = json.loads(path.read_text("utf-8"))
    print(f"{path}: {len(sbom['components'])} components; of unknown licence: {unknown(sbom) or 'none'}")
    found = [one for one in binding(sbom) if one.split()[0] not in ELSEWHERE]
    for one in found:
        print(f"This licence binds whoever passes tuneloop on: {one}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
