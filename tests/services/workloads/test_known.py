"""Who asks for a workload that is not there is told which ones are, of those that they may know of."""

from __future__ import annotations

import pytest

from services.workloads.api import known
from shared.access.principal import LOCAL_PRINCIPAL, Principal
from shared.access.roles import Role
from shared.problems import Problem
from shared.projections import Workloads
from tests.shared.consuming import added


@pytest.mark.parametrize(
    ("principal", "said"),
    [
        (LOCAL_PRINCIPAL, "mine, theirs"),
        (Principal("p-anna", Role.REVIEWER, frozenset({"mine", "nothing"})), "mine"),
        (Principal("p-ben", Role.AUDITOR, frozenset({"nothing"})), "none yet"),
    ],
)
def test_no_names_are_told_but_those_that_one_may_know(principal: Principal, said: str) -> None:
    workloads = Workloads()
    for name in ("mine", "theirs"):
        workloads.apply(added(name))
    with pytest.raises(Problem) as refused:
        known(workloads, "nothing", principal)
    assert refused.value.detail == f"There is no workload “nothing”. Known: {said}."
