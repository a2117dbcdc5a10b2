"""Which licences of what we stand on would bind whoever passes tuneloop on."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.requirements.licences import binding, unknown


def component(*licences: dict[str, Any]) -> dict[str, Any]:
    return {"components": [{"name": "one", "version": "1", "licenses": list(licences)}]}


@pytest.mark.parametrize(
    "licence",
    [
        {"license": {"id": "GPL-3.0-or-later"}},
        {"license": {"name": "License :: OSI Approved :: GNU General Public License v3 (GPLv3)"}},
        {"license": {"name": "GNU Affero General Public License v3"}},
        {"expression": "AGPL-3.0-only AND MIT"},
    ],
)
def test_the_gpl_and_the_agpl_bind(licence: dict[str, Any]) -> None:
    assert len(binding(component(licence))) == 1


@pytest.mark.parametrize(
    "licence",
    [
        {"license": {"id": "Apache-2.0"}},
        {"license": {"id": "LGPL-3.0-only"}},
        {"license": {"name": "GNU Lesser General Public License v3 (LGPLv3)"}},
        {"expression": "MIT OR GPL-2.0-only"},
    ],
)
def test_what_leaves_another_choice_does_not_bind(licence: dict[str, Any]) -> None:
    assert binding(component(licence)) == []


def test_one_of_several_licences_may_be_chosen() -> None:
    both = component({"license": {"id": "BSD-3-Clause"}}, {"license": {"id": "GPL-3.0-only"}})
    assert binding(both) == []


def test_a_package_that_says_nothing_is_named() -> None:
    assert unknown(component()) == ["one 1"]
    assert binding(component()) == []
