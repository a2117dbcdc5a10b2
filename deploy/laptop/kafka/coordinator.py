"""Consumer groups on the wire: join, sync, heartbeat, leave, administration. Decisions are in groups.py."""

import asyncio
import time
from typing import Any

from kafka.protocol.admin import DeleteGroupsResponse, DescribeGroupsResponse, ListGroupsResponse
from kafka.protocol.consumer import (
    HeartbeatResponse,
    JoinGroupResponse,
    LeaveGroupResponse,
    SyncGroupResponse,
)

from deploy.laptop.kafka.catalog import Catalog
from deploy.laptop.kafka.error_codes import ErrorCode
from deploy.laptop.kafka.groups import COMPANION_WAIT_SECONDS, Group, Join, Joined, Synced
from deploy.laptop.kafka.wire import Call


class Coordinator:
    """All groups: membership in memory (members join again after a restart), offsets in the catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._groups = {id: Group(id) for id in catalog.groups_with_offsets()}

    def group(self, group_id: str) -> Group:
        """Made if it is not there: a first join or a first commit begins a group."""
        return self._groups.setdefault(group_id, Group(group_id))

    def tick(self) -> None:
        for group in tuple(self._groups.values()):
            group.tick(time.monotonic())

    async def join_group(self, call: Call) -> Any:
        asked = call.body
        if not asked.group_id:
            return _join_answer(Joined(ErrorCode.INVALID_GROUP_ID, asked.member_id))
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Joined] = loop.create_future()
        rebalance_ms = (
            asked.rebalance_timeout_ms if asked.rebalance_timeout_ms > 0 else asked.session_timeout_ms
        )
        ask = Join(
            member_id=asked.member_id,
            instance_id=asked.group_instance_id,
            client_id=call.client_id,
            client_host=call.client_host,
            protocol_type=asked.protocol_type,
            protocols={protocol.name: bytes(protocol.metadata) for protocol in asked.protocols},
            session_seconds=asked.session_timeout_ms / 1000,
            rebalance_seconds=rebalance_ms / 1000,
            must_know_its_id=call.version >= 4,
        )
        group = self.group(asked.group_id)
        group.join(ask, time.monotonic(), _settle(answer))
        loop.call_later(COMPANION_WAIT_SECONDS + 0.01, lambda: group.tick(time.monotonic()))
        return _join_answer(await answer)

    async def sync_group(self, call: Call) -> Any:
        asked = call.body
        answer: asyncio.Future[Synced] = asyncio.get_running_loop().create_future()
        group = self._groups.get(asked.group_id, Group(asked.group_id))
        group.sync(
            asked.member_id,
            asked.group_instance_id,
            asked.generation_id,
            {each.member_id: bytes(each.assignment) for each in asked.assignments},
            time.monotonic(),
            _settle(answer),
        )
        synced = await answer
        return SyncGroupResponse(
            error_code=synced.error,
            assignment=synced.assignment,
            protocol_type=group.protocol_type,
            protocol_name=group.protocol,
        )

    async def heartbeat(self, call: Call) -> Any:
        asked = call.body
        group = self._groups.get(asked.group_id, Group(asked.group_id))
        return HeartbeatResponse(
            error_code=group.heartbeat(
                asked.member_id, asked.group_instance_id, asked.generation_id, time.monotonic()
            )
        )

    async def leave_group(self, call: Call) -> Any:
        """From version 3 on several members may leave at once, each with an answer of its own."""
        asked = call.body
        group = self._groups.get(asked.group_id, Group(asked.group_id))
        now = time.monotonic()
        if call.version < 3:
            return LeaveGroupResponse(error_code=group.leave(asked.member_id, None, now), members=[])
        answers = [
            LeaveGroupResponse.MemberResponse(
                member_id=each.member_id,
                group_instance_id=each.group_instance_id,
                error_code=group.leave(each.member_id, each.group_instance_id, now),
            )
            for each in asked.members
        ]
        return LeaveGroupResponse(error_code=ErrorCode.NONE, members=answers)

    async def list_groups(self, call: Call) -> Any:
        wanted = set(call.body.states_filter or ()) if call.version >= 4 else set()
        return ListGroupsResponse(
            error_code=ErrorCode.NONE,
            groups=[
                ListGroupsResponse.ListedGroup(
                    group_id=group.id, protocol_type=group.protocol_type, group_state=group.state.value
                )
                for group in self._groups.values()
                if not wanted or group.state.value in wanted
            ],
        )

    async def describe_groups(self, call: Call) -> Any:
        return DescribeGroupsResponse(groups=[self._describe(group_id) for group_id in call.body.groups])

    def _describe(self, group_id: str) -> Any:
        answer = DescribeGroupsResponse.DescribedGroup
        group = self._groups.get(group_id, Group(group_id))
        return answer(
            error_code=ErrorCode.NONE,
            group_id=group_id,
            group_state=group.state.value if group_id in self._groups else "Dead",
            protocol_type=group.protocol_type,
            protocol_data=group.protocol,
            members=[
                answer.DescribedGroupMember(
                    member_id=member.id,
                    group_instance_id=member.asked.instance_id,
                    client_id=member.asked.client_id,
                    client_host=member.asked.client_host,
                    member_metadata=member.asked.protocols.get(group.protocol, b""),
                    member_assignment=member.assignment,
                )
                for member in group.members.values()
            ],
        )

    async def delete_groups(self, call: Call) -> Any:
        answer = DeleteGroupsResponse.DeletableGroupResult
        return DeleteGroupsResponse(
            results=[
                answer(group_id=group_id, error_code=self._delete(group_id))
                for group_id in call.body.groups_names
            ]
        )

    def _delete(self, group_id: str) -> ErrorCode:
        group = self._groups.get(group_id)
        if group is None:
            return ErrorCode.GROUP_ID_NOT_FOUND
        if group.members:
            return ErrorCode.NON_EMPTY_GROUP
        self._catalog.forget_group(group_id)
        del self._groups[group_id]
        return ErrorCode.NONE


def _settle(answer: "asyncio.Future[Any]") -> Any:
    """Nobody waits any more when the asking connection has gone."""
    return lambda result: None if answer.done() else answer.set_result(result)


def _join_answer(joined: Joined) -> Any:
    member = JoinGroupResponse.JoinGroupResponseMember
    return JoinGroupResponse(
        error_code=joined.error,
        generation_id=joined.generation,
        protocol_type=joined.protocol_type,
        protocol_name=joined.protocol,
        leader=joined.leader,
        member_id=joined.member_id,
        members=[
            member(member_id=id, group_instance_id=instance, metadata=metadata)
            for id, instance, metadata in joined.members
        ],
    )
