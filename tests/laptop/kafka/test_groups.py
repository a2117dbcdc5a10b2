from dataclasses import dataclass, field
from typing import Any

import pytest

from deploy.laptop.kafka.error_codes import ErrorCode
from deploy.laptop.kafka.groups import COMPANION_WAIT_SECONDS, Group, Join, Joined, State, Synced

SESSION_SECONDS = 10.0
REBALANCE_SECONDS = 60.0


@dataclass
class TimedGroup:
    """A group, a clock that is moved by hand, and what members were answered."""

    group: Group = field(default_factory=lambda: Group("group"))
    now: float = 0.0

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.group.tick(self.now)

    def join(self, member_id: str = "", instance: str | None = None, **changed: Any) -> list[Joined]:
        asked: dict[str, Any] = {
            "member_id": member_id,
            "instance_id": instance,
            "client_id": "client",
            "client_host": "/127.0.0.1",
            "protocol_type": "consumer",
            "protocols": {"range": b"topics"},
            "session_seconds": SESSION_SECONDS,
            "rebalance_seconds": REBALANCE_SECONDS,
            "must_know_its_id": False,
        }
        answers: list[Joined] = []
        self.group.join(Join(**asked | changed), self.now, answers.append)
        return answers

    def sync(self, joined: Joined, **assignments: bytes) -> list[Synced]:
        answers: list[Synced] = []
        self.group.sync(joined.member_id, None, joined.generation, assignments, self.now, answers.append)
        return answers

    def heartbeat(self, joined: Joined) -> ErrorCode:
        return self.group.heartbeat(joined.member_id, None, joined.generation, self.now)

    def may_commit(self, joined: Joined) -> ErrorCode:
        return self.group.may_commit(joined.member_id, None, joined.generation, self.now)

    def leave(self, joined: Joined) -> ErrorCode:
        return self.group.leave(joined.member_id, None, self.now)

    def stable_pair(self) -> tuple[Joined, Joined]:
        one, two = self.join(), self.join()
        self.wait(COMPANION_WAIT_SECONDS)
        waiting = self.sync(two[0])
        self.sync(one[0], **{one[0].member_id: b"1", two[0].member_id: b"2"})
        assert waiting == [Synced(ErrorCode.NONE, b"2")]
        return one[0], two[0]


@pytest.fixture
def timed() -> TimedGroup:
    return TimedGroup()


def test_companions_of_the_first_member_join_the_same_generation(timed: TimedGroup) -> None:
    one, two = timed.join(), timed.join()
    assert (one, two) == ([], [])
    timed.wait(COMPANION_WAIT_SECONDS)
    assert one[0].generation == two[0].generation == 1
    assert one[0].leader == two[0].leader == one[0].member_id
    assert [id for id, _, _ in one[0].members] == [one[0].member_id, two[0].member_id]
    assert two[0].members == ()


def test_a_follower_waits_for_the_leaders_assignment(timed: TimedGroup) -> None:
    timed.stable_pair()
    assert timed.group.state is State.STABLE


def test_a_dynamic_member_is_told_its_id_first_and_then_let_in(timed: TimedGroup) -> None:
    told = timed.join(must_know_its_id=True)[0]
    assert told.error is ErrorCode.MEMBER_ID_REQUIRED
    joined = timed.join(told.member_id, must_know_its_id=True)
    timed.wait(COMPANION_WAIT_SECONDS)
    assert joined[0].member_id == told.member_id
    assert timed.join("somebody")[0].error is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_third_member_sends_the_others_back_to_join(timed: TimedGroup) -> None:
    one, two = timed.stable_pair()
    third = timed.join()
    assert timed.heartbeat(one) is ErrorCode.REBALANCE_IN_PROGRESS
    assert timed.may_commit(one) is ErrorCode.NONE
    timed.join(one.member_id)
    assert third == []
    timed.join(two.member_id)
    assert third[0].generation == 2
    assert timed.may_commit(third[0]) is ErrorCode.REBALANCE_IN_PROGRESS


def test_a_silent_member_is_taken_for_dead_when_its_session_is_over(timed: TimedGroup) -> None:
    one, two = timed.stable_pair()
    timed.wait(SESSION_SECONDS)
    assert timed.heartbeat(one) is ErrorCode.NONE
    timed.wait(1)
    assert timed.heartbeat(two) is ErrorCode.UNKNOWN_MEMBER_ID
    assert timed.heartbeat(one) is ErrorCode.REBALANCE_IN_PROGRESS
    assert timed.join(one.member_id)[0].generation == 2


def test_a_member_that_waits_in_join_is_not_taken_for_dead(timed: TimedGroup) -> None:
    one, two = timed.stable_pair()
    waiting = timed.join(two.member_id, protocols={"range": b"other topics"})
    for _ in range(5):
        timed.wait(SESSION_SECONDS - 1)
        timed.heartbeat(one)
    assert two.member_id in timed.group.members
    assert waiting == []


def test_who_does_not_join_until_the_deadline_is_left_behind(timed: TimedGroup) -> None:
    one, two = timed.stable_pair()
    third = timed.join()
    timed.join(one.member_id)
    while timed.now < COMPANION_WAIT_SECONDS + REBALANCE_SECONDS:
        assert third == []
        assert timed.heartbeat(two) is ErrorCode.REBALANCE_IN_PROGRESS
        timed.wait(SESSION_SECONDS / 2)
    assert set(timed.group.members) == {one.member_id, third[0].member_id}


def test_a_leader_that_never_assigns_is_left_behind(timed: TimedGroup) -> None:
    one, two = timed.join(), timed.join()
    timed.wait(COMPANION_WAIT_SECONDS)
    waiting = timed.sync(two[0])
    timed.wait(SESSION_SECONDS + 1)
    assert waiting == [Synced(ErrorCode.REBALANCE_IN_PROGRESS)]
    assert timed.leave(one[0]) is ErrorCode.UNKNOWN_MEMBER_ID
    assert timed.join(two[0].member_id)[0].leader == two[0].member_id


def test_a_member_that_leaves_starts_a_rebalance_and_the_last_one_empties_the_group(
    timed: TimedGroup,
) -> None:
    one, two = timed.stable_pair()
    timed.leave(one)
    alone = timed.join(two.member_id)[0]
    assert alone.leader == two.member_id
    timed.leave(alone)
    assert (timed.group.state, timed.group.members) == (State.EMPTY, {})


def test_an_old_generation_is_told_so(timed: TimedGroup) -> None:
    one, two = timed.stable_pair()
    timed.leave(two)
    timed.join(one.member_id)
    assert timed.heartbeat(one) is ErrorCode.ILLEGAL_GENERATION
    assert timed.may_commit(one) is ErrorCode.ILLEGAL_GENERATION
    assert timed.sync(one) == [Synced(ErrorCode.ILLEGAL_GENERATION)]


def test_who_is_in_no_group_may_commit_only_into_an_empty_one(timed: TimedGroup) -> None:
    assert timed.group.may_commit("", None, -1, 0) is ErrorCode.NONE
    timed.stable_pair()
    assert timed.group.may_commit("", None, -1, 0) is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_lost_answer_is_given_again_without_a_rebalance(timed: TimedGroup) -> None:
    _, two = timed.stable_pair()
    assert timed.join(two.member_id)[0].generation == two.generation
    assert timed.group.state is State.STABLE


def test_who_asks_again_over_a_new_connection_ends_the_wait_of_the_old_one(timed: TimedGroup) -> None:
    one, two = timed.join(), timed.join()
    timed.wait(COMPANION_WAIT_SECONDS)
    old_sync = timed.sync(two[0])
    timed.sync(two[0])
    assert old_sync == [Synced(ErrorCode.REBALANCE_IN_PROGRESS)]
    timed.join()
    old_join = timed.join(one[0].member_id)
    timed.join(one[0].member_id)
    assert [answer.error for answer in old_join] == [ErrorCode.REBALANCE_IN_PROGRESS]


def test_a_leader_that_joins_again_gets_its_rebalance(timed: TimedGroup) -> None:
    one, two = timed.stable_pair()
    assert timed.join(one.member_id) == []
    assert timed.heartbeat(two) is ErrorCode.REBALANCE_IN_PROGRESS


def test_a_static_member_comes_back_to_its_assignment_and_fences_its_old_self(timed: TimedGroup) -> None:
    first = timed.join(instance="worker-1")
    timed.wait(COMPANION_WAIT_SECONDS)
    timed.sync(first[0], **{first[0].member_id: b"mine"})
    back = timed.join(instance="worker-1")[0]
    assert back.generation == first[0].generation
    assert timed.sync(back) == [Synced(ErrorCode.NONE, b"mine")]
    old = first[0].member_id
    assert timed.group.heartbeat(old, "worker-1", back.generation, timed.now) is ErrorCode.FENCED_INSTANCE_ID


def test_a_static_member_with_other_topics_comes_back_through_a_rebalance(timed: TimedGroup) -> None:
    first = timed.join(instance="worker-1")
    timed.wait(COMPANION_WAIT_SECONDS)
    timed.sync(first[0])
    back = timed.join(instance="worker-1", protocols={"sticky": b"other topics"})
    assert back[0].generation == first[0].generation + 1
    assert list(timed.group.members) == [back[0].member_id] == [back[0].leader]


def test_members_without_a_common_assignor_do_not_get_in(timed: TimedGroup) -> None:
    timed.stable_pair()
    assert timed.join(protocols={"sticky": b""})[0].error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert timed.join(protocol_type="connect")[0].error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL


@pytest.mark.parametrize("seconds", [0.999, 1801])
def test_a_session_too_short_or_too_long_is_refused(timed: TimedGroup, seconds: float) -> None:
    assert timed.join(session_seconds=seconds)[0].error is ErrorCode.INVALID_SESSION_TIMEOUT
