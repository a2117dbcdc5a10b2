"""A classic consumer group: who is in it, when it rebalances, who is taken for dead.

No sockets and no clock: times come in as seconds, and answers that have to wait go out by a callback.
Empty -> PreparingRebalance (all join) -> CompletingRebalance (the leader assigns) -> Stable.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from deploy.laptop.kafka.error_codes import ErrorCode

COMPANION_WAIT_SECONDS = 0.2  # how long an empty group waits after its first join for others to come along
SHORTEST_SESSION_SECONDS = 1
LONGEST_SESSION_SECONDS = 30 * 60


class State(StrEnum):
    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"


@dataclass(frozen=True)
class Join:
    """What a member asks for. `protocols`: assignor name to metadata, the preferred one first."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    protocol_type: str
    protocols: Mapping[str, bytes]
    session_seconds: float
    rebalance_seconds: float
    must_know_its_id: bool  # from JoinGroup version 4 on, a new member is first told its id and joins again


@dataclass(frozen=True)
class Joined:
    """The answer to a join; `members` (id, instance id, metadata) is filled for the leader only."""

    error: ErrorCode
    member_id: str
    generation: int = -1
    protocol_type: str = ""
    protocol: str = ""
    leader: str = ""
    members: tuple[tuple[str, str | None, bytes], ...] = ()


@dataclass(frozen=True)
class Synced:
    error: ErrorCode
    assignment: bytes = b""


@dataclass
class Member:
    id: str
    asked: Join
    seen: float
    assignment: bytes = b""
    waiting_to_join: Callable[[Joined], None] | None = None
    waiting_to_sync: Callable[[Synced], None] | None = None

    def is_overdue(self, now: float) -> bool:
        """A member blocked in join or sync cannot send heartbeats: the rebalance deadline is for it."""
        blocked = self.waiting_to_join is not None or self.waiting_to_sync is not None
        return not blocked and now - self.seen > self.asked.session_seconds


@dataclass
class Group:
    id: str
    state: State = State.EMPTY
    generation: int = 0
    protocol_type: str = ""
    protocol: str = ""
    leader: str = ""
    members: dict[str, Member] = field(default_factory=dict)
    _announced: dict[str, float] = field(default_factory=dict)  # ids given out, until when they may be used
    _instances: dict[str, str] = field(default_factory=dict)  # static members: instance id to member id
    _deadline: float = 0.0
    _hold_until: float = 0.0

    def join(self, ask: Join, now: float, reply: Callable[[Joined], None]) -> None:
        """`reply` is called once, now or when the rebalance is through."""
        error = self._refusal(ask)
        if error:
            reply(Joined(error, ask.member_id))
            return
        member_id = ask.member_id
        if not member_id:
            member_id = f"{ask.instance_id or ask.client_id or 'member'}-{uuid.uuid4()}"
            if ask.instance_id in self._instances:
                if self._replace(self._instances[ask.instance_id], member_id, ask, now):
                    reply(self._joined(self.members[member_id]))
                    return
            elif ask.must_know_its_id and ask.instance_id is None:
                self._announced[member_id] = now + ask.session_seconds
                reply(Joined(ErrorCode.MEMBER_ID_REQUIRED, member_id))
                return
        self._enter(member_id, ask, now, reply)

    def _refusal(self, ask: Join) -> ErrorCode:
        if not SHORTEST_SESSION_SECONDS <= ask.session_seconds <= LONGEST_SESSION_SECONDS:
            return ErrorCode.INVALID_SESSION_TIMEOUT
        if ask.member_id:
            error = self._check_member(ask.member_id, ask.instance_id)
            if error and ask.member_id not in self._announced:
                return error
        old_self = ask.member_id or self._instances.get(ask.instance_id or "")
        others = [m for m in self.members.values() if m.id != old_self]
        common = set(ask.protocols).intersection(*(m.asked.protocols for m in others))
        if not common or (others and ask.protocol_type != self.protocol_type):
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        return ErrorCode.NONE

    def _replace(self, old_id: str, new_id: str, ask: Join, now: float) -> bool:
        """A static member is back under a new id. True if it simply goes on with its old assignment."""
        member = self.members.pop(old_id)
        self._answer_waiting(member, ErrorCode.FENCED_INSTANCE_ID)
        if self.leader == old_id:
            self.leader = new_id
        if self.state is not State.STABLE or member.asked.protocols != ask.protocols:
            return False
        self.members[new_id] = Member(new_id, ask, now, member.assignment)
        self._instances[str(ask.instance_id)] = new_id
        return True

    def _enter(self, member_id: str, ask: Join, now: float, reply: Callable[[Joined], None]) -> None:
        self._announced.pop(member_id, None)
        self.protocol_type = ask.protocol_type
        self.leader = self.leader or member_id
        member = self.members.get(member_id)
        if member is None:
            member = self.members[member_id] = Member(member_id, ask, now)
            if ask.instance_id is not None:
                self._instances[ask.instance_id] = member_id
        elif self._repeats_its_join(member, ask):
            member.seen = now
            reply(self._joined(member))
            return
        self._answer_waiting(
            member, ErrorCode.REBALANCE_IN_PROGRESS
        )  # it asks anew: nobody waits for the old answer
        member.asked, member.seen, member.waiting_to_join = ask, now, reply
        if self.state is not State.PREPARING:
            self._prepare(now)
        self._complete_if_all_joined(now)

    def _repeats_its_join(self, member: Member, ask: Join) -> bool:
        """The answer got lost; but a leader that joins again in a stable group wants a rebalance."""
        if member.asked.protocols != ask.protocols:
            return False
        return self.state is State.COMPLETING or (self.state is State.STABLE and member.id != self.leader)

    def sync(
        self, member_id: str, instance_id: str | None, generation: int, assignments: Mapping[str, bytes],
        now: float, reply: Callable[[Synced], None],
    ) -> None:  # fmt: skip
        """The leader hands in everyone's assignment; the others wait for theirs."""
        error = self._check(member_id, instance_id, generation)
        if not error and self.state is State.PREPARING:
            error = ErrorCode.REBALANCE_IN_PROGRESS
        if error:
            reply(Synced(error))
            return
        member = self.members[member_id]
        member.seen = now
        if self.state is State.STABLE:
            reply(Synced(ErrorCode.NONE, member.assignment))
            return
        self._answer_waiting(member, ErrorCode.REBALANCE_IN_PROGRESS)
        member.waiting_to_sync = reply
        if member_id == self.leader:
            self.state = State.STABLE
            for each in self.members.values():
                each.assignment = assignments.get(each.id, b"")
                if each.waiting_to_sync is not None:
                    each.seen = now
                    waiting, each.waiting_to_sync = each.waiting_to_sync, None
                    waiting(Synced(ErrorCode.NONE, each.assignment))

    def heartbeat(self, member_id: str, instance_id: str | None, generation: int, now: float) -> ErrorCode:
        error = self._check(member_id, instance_id, generation)
        if error:
            return error
        self.members[member_id].seen = now
        preparing = self.state is State.PREPARING
        return ErrorCode.REBALANCE_IN_PROGRESS if preparing else ErrorCode.NONE

    def may_commit(self, member_id: str, instance_id: str | None, generation: int, now: float) -> ErrorCode:
        """Commits are taken while members join (they hand over by that), not while they wait for the leader.

        Without a member id and a generation it is an administrator, or a reader without a group: only into an
        empty group.
        """
        if generation < 0 and not member_id:
            return ErrorCode.UNKNOWN_MEMBER_ID if self.members else ErrorCode.NONE
        error = self._check(member_id, instance_id, generation)
        if error:
            return error
        self.members[member_id].seen = now
        completing = self.state is State.COMPLETING
        return ErrorCode.REBALANCE_IN_PROGRESS if completing else ErrorCode.NONE

    def leave(self, member_id: str, instance_id: str | None, now: float) -> ErrorCode:
        if not member_id and instance_id is not None:
            member_id = self._instances.get(instance_id, "")
        error = self._check_member(member_id, instance_id)
        if not error:
            self._remove(self.members[member_id], now)
        return error

    def tick(self, now: float) -> None:
        """Time has passed: take silent members for dead, end waits that are over."""
        self._announced = {id: until for id, until in self._announced.items() if now < until}
        for member in [m for m in self.members.values() if m.is_overdue(now)]:
            self._remove(member, now)
        if self.state is State.PREPARING:
            if now >= self._deadline:
                for member in [m for m in self.members.values() if m.waiting_to_join is None]:
                    self._forget(member)
            self._complete_if_all_joined(now)
        elif self.state is State.COMPLETING and now >= self._deadline:
            for member in [m for m in self.members.values() if m.waiting_to_sync is None]:
                self._remove(member, now)

    def _check(self, member_id: str, instance_id: str | None, generation: int) -> ErrorCode:
        error = self._check_member(member_id, instance_id)
        if not error and generation != self.generation:
            return ErrorCode.ILLEGAL_GENERATION
        return error

    def _check_member(self, member_id: str, instance_id: str | None) -> ErrorCode:
        if instance_id is not None and self._instances.get(instance_id, member_id) != member_id:
            return ErrorCode.FENCED_INSTANCE_ID
        return ErrorCode.NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    def _prepare(self, now: float) -> None:
        was_empty = self.state is State.EMPTY
        self.state = State.PREPARING
        self._deadline = self._rebalance_deadline(now)
        self._hold_until = now + COMPANION_WAIT_SECONDS if was_empty else now
        for member in self.members.values():
            if member.waiting_to_sync is not None:
                waiting, member.waiting_to_sync = member.waiting_to_sync, None
                waiting(Synced(ErrorCode.REBALANCE_IN_PROGRESS))

    def _rebalance_deadline(self, now: float) -> float:
        return now + max(member.asked.rebalance_seconds for member in self.members.values())

    def _complete_if_all_joined(self, now: float) -> None:
        if not self.members:
            self._become_empty()
            return
        if now < self._hold_until or any(m.waiting_to_join is None for m in self.members.values()):
            return
        if self.leader not in self.members:
            self.leader = next(iter(self.members))
        common = set.intersection(*(set(m.asked.protocols) for m in self.members.values()))
        self.protocol = next(name for name in self.members[self.leader].asked.protocols if name in common)
        self.generation += 1
        self.state = State.COMPLETING
        self._deadline = self._rebalance_deadline(now)
        for member in self.members.values():
            waiting, member.waiting_to_join = member.waiting_to_join, None
            member.seen, member.assignment = now, b""
            if waiting is not None:
                waiting(self._joined(member))

    def _joined(self, member: Member) -> Joined:
        everyone = tuple(
            (m.id, m.asked.instance_id, m.asked.protocols[self.protocol]) for m in self.members.values()
        )
        return Joined(
            ErrorCode.NONE,
            member.id,
            self.generation,
            self.protocol_type,
            self.protocol,
            self.leader,
            everyone if member.id == self.leader else (),
        )

    def _remove(self, member: Member, now: float) -> None:
        self._forget(member)
        if not self.members:
            self._become_empty()
            return
        if self.state is not State.PREPARING:
            self._prepare(now)
        self._complete_if_all_joined(now)

    def _forget(self, member: Member) -> None:
        self.members.pop(member.id, None)
        if member.asked.instance_id is not None:
            self._instances.pop(member.asked.instance_id, None)
        self._answer_waiting(member, ErrorCode.UNKNOWN_MEMBER_ID)

    def _answer_waiting(self, member: Member, error: ErrorCode) -> None:
        if member.waiting_to_join is not None:
            member.waiting_to_join(Joined(error, member.id))
        if member.waiting_to_sync is not None:
            member.waiting_to_sync(Synced(error))
        member.waiting_to_join = member.waiting_to_sync = None

    def _become_empty(self) -> None:
        self.state = State.EMPTY
        self.leader = ""
        self.protocol = ""
        self.generation += 1
