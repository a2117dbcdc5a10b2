"""When a consumer stops setting records aside, and which it sets aside unread."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.consumer.invalid_limit import InvalidLimit
from shared.consumer.records import Place


class ConsumerSettings(BaseSettings):
    """Read from the environment, by these names in upper case after CONSUMER_."""

    model_config = SettingsConfigDict(env_prefix="CONSUMER_", frozen=True)

    most_invalid_in_a_row: int = Field(default=100, ge=0)
    """So many invalid records in a row are set aside as dead letters; at the next their partition waits."""
    most_invalid_share: float = Field(default=0.25, ge=0, le=1)
    """The same for their share of a partition's last 2000 records."""
    set_aside: str = Field(default="", pattern=r"^(\s*[A-Za-z0-9._-]+/[0-9]+@[0-9]+\s*(,|$))*$")
    """Records to set aside as dead letters unhandled, because they make a handler fail for ever: their places
    as TOPIC/PARTITION@OFFSET, separated by commas. By the services that are started with it."""

    @property
    def limit(self) -> InvalidLimit:
        return InvalidLimit(self.most_invalid_in_a_row, self.most_invalid_share)

    def unhandled(self) -> dict[Place, set[int]]:
        """Offsets by place."""
        found: dict[Place, set[int]] = {}
        for one in filter(None, map(str.strip, self.set_aside.split(","))):
            place, _, offset = one.partition("@")
            topic, _, number = place.rpartition("/")
            found.setdefault((topic, int(number)), set()).add(int(offset))
        return found
