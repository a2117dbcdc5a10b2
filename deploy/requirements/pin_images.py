"""`python -m deploy.requirements.pin_images`: writes behind each image's tag the digest it has now.

A tag is whatever its owner pushes next; a digest is the content. Needs Docker with buildx, and the
registries that the images come from.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMING = ("deploy/Dockerfile", "deploy/Dockerfile.cuda", "docker-compose.yml", ".github/workflows/ci.yml")
IMAGE = re.compile(r"^( *(?:FROM|image:) )([\w./-]+:[\w.-]+)((?:@sha256:[0-9a-f]{64})?)", re.M)


def images(text: str) -> list[tuple[str, str]]:
    """Each image that a file names: its tag, and `@sha256:…` or nothing."""
    return [(tag, digest) for _, tag, digest in IMAGE.findall(text)]


def pinned(text: str, digest_of: Callable[[str], str]) -> str:
    """The file with the digest of each image, as `digest_of` its tag says: `sha256:…`."""
    return IMAGE.sub(lambda found: f"{found[1]}{found[2]}@{digest_of(found[2])}", text)


def registered(tag: str) -> str:
    """What the tag means now, for all platforms. Raises CalledProcessError."""
    command = ["docker", "buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", tag]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return str(json.loads(said)["digest"])


def main() -> int:
    texts = {ROOT / name: (ROOT / name).read_text("utf-8") for name in NAMING}
    digests = {tag: registered(tag) for text in texts.values() for tag, _ in images(text)}
    for path, text in texts.items():
        path.write_text(pinned(text, digests.__getitem__), "utf-8")
    for tag, digest in digests.items():
        print(f"{tag}@{digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
