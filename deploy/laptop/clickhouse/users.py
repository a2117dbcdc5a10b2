"""Who may enter the laptop's ClickHouse, and with which generated passwords."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.files import ensure_secret

USERS_XML = """\
<clickhouse>
  <profiles>
    <default/>
    <engine><max_memory_usage>100000000</max_memory_usage></engine>
    <services>
      <max_memory_usage>2000000000</max_memory_usage>
      <max_result_bytes>2000000000</max_result_bytes>
      <max_execution_time>3600</max_execution_time>
    </services>
    <reader>
      <readonly>2</readonly>
      <max_memory_usage_for_user>1000000000</max_memory_usage_for_user>
      <max_result_bytes>200000000</max_result_bytes>
      <max_execution_time>60</max_execution_time>
      <constraints>
        <max_memory_usage_for_user><const/></max_memory_usage_for_user>
        <max_result_bytes><const/></max_result_bytes>
        <max_execution_time><const/></max_execution_time>
      </constraints>
    </reader>
  </profiles>
  <quotas>
    <default/>
    <engine><interval><duration>2000000000</duration><queries>2</queries></interval></engine>
  </quotas>
  <users>
    <default>
      <password></password>
      <networks><ip>127.0.0.1</ip><ip>::1</ip></networks><profile>engine</profile><quota>engine</quota>
      <grants>
        <query>GRANT SYSTEM LISTEN ON *.*</query>
        <query>GRANT SELECT ON system.numbers</query>
      </grants>
    </default>
    <tuneloop>
      <password_sha256_hex>{tuneloop}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip><ip>::1</ip></networks><profile>services</profile><quota>default</quota>
    </tuneloop>
    <reader>
      <password_sha256_hex>{reader}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip><ip>::1</ip></networks><profile>reader</profile><quota>default</quota>
      <grants><query>GRANT SELECT ON tuneloop.*</query></grants>
    </reader>
  </users>
</clickhouse>
"""
# The engine enters itself as `default`, so that user must stay without a password. As it comes, it may read
# every file of this machine over HTTP; here it keeps the two rights that the listening itself needs, and may
# use them as often as the engine does at its start: a login with `?user=default` beside it becomes `default`,
# who could end the listening. A statement of the services may take an hour, as long as their client waits.


@dataclass(frozen=True)
class Passwords:
    """Of `tuneloop`, who may do everything, and of `reader`, who may look at the database `tuneloop`."""

    tuneloop: str
    reader: str


def ensure_passwords(file: Path) -> Passwords:
    """The passwords kept in `file`, generated the first time. Only the file's owner can read it."""
    return Passwords(**json.loads(ensure_secret(file, _fresh_passwords)))


def _fresh_passwords() -> str:
    return json.dumps(asdict(Passwords(secrets.token_urlsafe(24), secrets.token_urlsafe(24))))


def users_xml(passwords: Passwords) -> str:
    """ClickHouse's `users.xml`; it holds digests, never a password."""
    digests = {name: hashlib.sha256(word.encode()).hexdigest() for name, word in asdict(passwords).items()}
    return USERS_XML.format(**digests)
