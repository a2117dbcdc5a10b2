"""Topic settings on the wire: described and changed. Which there are, topic_config.py says."""

from dataclasses import dataclass
from typing import Any

from kafka.protocol.admin import (
    AlterConfigsResponse,
    DescribeConfigsResponse,
    IncrementalAlterConfigsResponse,
)

from deploy.laptop.kafka.error_codes import DONE, ErrorCode, Outcome
from deploy.laptop.kafka.topic_config import DEFAULTS, InvalidConfig, TopicConfig
from deploy.laptop.kafka.topics import Topics
from deploy.laptop.kafka.wire import Call

_TOPIC_RESOURCE = 2
_OWN_SETTING, _DEFAULT_SETTING = 1, 5
_STRING_SETTING = 2
_SET, _DELETE = 0, 1


@dataclass(frozen=True)
class Configs:
    topics: Topics

    async def describe_configs(self, call: Call) -> Any:
        return DescribeConfigsResponse(results=[self._settings(asked) for asked in call.body.resources])

    def _settings(self, asked: Any) -> Any:
        answer = DescribeConfigsResponse.DescribeConfigsResult
        topic = self.topics.get(asked.resource_name) if asked.resource_type == _TOPIC_RESOURCE else None
        if asked.resource_type == _TOPIC_RESOURCE and topic is None:
            error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            return answer(
                error_code=error, error_message=f"no topic {asked.resource_name}",
                resource_type=asked.resource_type, resource_name=asked.resource_name, configs=[],
            )  # fmt: skip
        own = topic.row.config if topic is not None else {}
        return answer(
            error_code=ErrorCode.NONE,
            error_message=None,
            resource_type=asked.resource_type,
            resource_name=asked.resource_name,
            configs=[
                answer.DescribeConfigsResourceResult(
                    name=name,
                    value=own.get(name, default),
                    read_only=False,
                    config_source=_OWN_SETTING if name in own else _DEFAULT_SETTING,
                    is_sensitive=False,
                    synonyms=[],
                    config_type=_STRING_SETTING,
                    documentation=None,
                )
                for name, default in DEFAULTS.items()
                if asked.configuration_keys is None or name in asked.configuration_keys
            ],
        )

    async def incremental_alter_configs(self, call: Call) -> Any:
        answers = []
        for asked in call.body.resources:
            error, message = self._alter(asked, validate_only=call.body.validate_only)
            answers.append(
                IncrementalAlterConfigsResponse.AlterConfigsResourceResponse(
                    error_code=error,
                    error_message=message,
                    resource_type=asked.resource_type,
                    resource_name=asked.resource_name,
                )
            )
        return IncrementalAlterConfigsResponse(responses=answers)

    async def alter_configs(self, call: Call) -> Any:
        """The older way: what is not named goes back to its default."""
        answers = []
        for asked in call.body.resources:
            config = {each.name: each.value for each in asked.configs}
            error, message = self._replace(asked, config, validate_only=call.body.validate_only)
            answers.append(
                AlterConfigsResponse.AlterConfigsResourceResponse(
                    error_code=error,
                    error_message=message,
                    resource_type=asked.resource_type,
                    resource_name=asked.resource_name,
                )
            )
        return AlterConfigsResponse(responses=answers)

    def _alter(self, asked: Any, *, validate_only: bool) -> Outcome:
        topic = self.topics.get(asked.resource_name)
        config = dict(topic.row.config) if topic is not None else {}
        for change in asked.configs:
            if change.config_operation == _SET:
                config[change.name] = change.value
            elif change.config_operation == _DELETE:
                config.pop(change.name, None)
            else:
                return ErrorCode.INVALID_CONFIG, "settings can be set and deleted; none of them is a list"
        return self._replace(asked, config, validate_only=validate_only)

    def _replace(self, asked: Any, config: dict[str, str], *, validate_only: bool) -> Outcome:
        if asked.resource_type != _TOPIC_RESOURCE:
            return ErrorCode.INVALID_REQUEST, "only settings of topics can be changed"
        topic = self.topics.get(asked.resource_name)
        if topic is None:
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"no topic {asked.resource_name}"
        try:
            TopicConfig.of(config)
        except InvalidConfig as problem:
            return ErrorCode.INVALID_CONFIG, str(problem)
        if not validate_only:
            self.topics.configure(topic, config)
        return DONE
