"""Images: what they are made from, whose their folders are, and what a builder is given."""

from __future__ import annotations

import re
from fnmatch import fnmatch

import pytest
import yaml

from deploy.requirements.check_python import LEAST, MOST
from deploy.requirements.pin_images import NAMING, ROOT, images, pinned
from shared.flow import FLOW

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
DOCKERFILES = [name for name in NAMING if "Dockerfile" in name]
BY_TAG = {"apache/kafka:4.4.0", "vllm/vllm-openai:v0.33.0"}
"""Still by tag: where this was written, no digest of theirs was to be had. `make pin-images` finds it; then
this is empty, and goes."""


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.mark.parametrize("name", NAMING)
def test_an_image_is_named_with_its_digest(name: str) -> None:
    found = images(text_of(name))
    assert found
    assert [tag for tag, digest in found if not digest and tag not in BY_TAG] == []


def test_what_is_still_by_tag_is_said_to_be() -> None:
    found = {tag for name in NAMING for tag, digest in images(text_of(name)) if not digest}
    assert found == BY_TAG


def test_one_tag_has_one_digest() -> None:
    found = {image for name in NAMING for image in images(text_of(name))}
    assert len({tag for tag, _ in found}) == len(found)


def test_pinning_writes_the_digest_behind_the_tag_and_renews_it() -> None:
    old, new = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
    text = f"FROM python:3.12@{old}\n    image: apache/kafka:4.4.0\n# image: of words\n"
    expected = f"FROM python:3.12@{new}\n    image: apache/kafka:4.4.0@{new}\n# image: of words\n"
    assert pinned(text, lambda tag: new) == expected
    assert images(expected) == [("python:3.12", f"@{new}"), ("apache/kafka:4.4.0", f"@{new}")]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_has_a_python_that_the_lock_is_for(name: str) -> None:
    [python] = re.findall(r"^FROM python:3\.(\d+)\.", text_of(name), re.M)
    assert LEAST[1] <= int(python) <= MOST[1]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_folders_that_volumes_cover_are_the_users_of_the_image(name: str) -> None:
    """A new volume takes owner and mode of what it covers; without the folder it would be root's."""
    made = re.search(
        r"useradd --create-home --uid 1000 (\w+) && mkdir (.+) && chown \1: (.+)$", text_of(name), re.M
    )
    assert made is not None
    assert made[2] == made[3]
    written = {
        volume.split(":")[1]
        for service in FLOW
        for volume in COMPOSE["services"][service].get("volumes", [])
        if not volume.endswith(":ro")
    }
    assert written == set(made[2].split())
    assert text_of(name).index(made[0]) < text_of(name).index(f"\nUSER {made[1]}\n")


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_builder_is_given_what_it_copies_and_no_key(name: str) -> None:
    allowed = [line[1:] for line in text_of(".dockerignore").splitlines() if line.startswith("!")]
    copied = [
        source for line in re.findall(r"^COPY (.+)$", text_of(name), re.M) for source in line.split()[:-1]
    ]
    assert copied
    assert all(any(fnmatch(source, f"{one}*") for one in allowed) for source in copied)
    assert "\n*\n" in text_of(".dockerignore")
