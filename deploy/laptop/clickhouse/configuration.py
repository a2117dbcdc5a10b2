"""The server's `config.xml`."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from xml.sax.saxutils import escape

from deploy.laptop.clickhouse.users import Passwords

CONFIG_XML = """\
<clickhouse>
  <logger>
    <level>warning</level><size>10M</size><count>2</count>
    <log>{folder}/server.log</log><errorlog>{folder}/error.log</errorlog>
  </logger>
  {listen}
  <http_port>{port}</http_port>
  <http_options_response/>
  <http_handlers>
    <rule><url>/ping</url><methods>GET</methods><handler><type>ping</type></handler></rule>
    <rule>
      <headers><Authorization>regex:{logins}</Authorization></headers>
      <handler><type>dynamic_query_handler</type><query_param_name>query</query_param_name></handler>
    </rule>
    <rule>
      <handler>
        <type>static</type><status>403</status><content_type>text/plain; charset=UTF-8</content_type>
        <http_response_headers>
          <X-ClickHouse-Exception-Code>516</X-ClickHouse-Exception-Code>
        </http_response_headers>
        <response_content>Code: 516. DB::Exception: AUTHENTICATION_FAILED</response_content>
      </handler>
    </rule>
  </http_handlers>
  <users_config>{folder}/users.xml</users_config>
  <mark_cache_size>268435456</mark_cache_size>
  <max_server_memory_usage_to_ram_ratio>0.5</max_server_memory_usage_to_ram_ratio>
  <shutdown_wait_unfinished>1</shutdown_wait_unfinished>
  <asynchronous_metrics_update_period_s>60</asynchronous_metrics_update_period_s>
</clickhouse>
"""
# No query log: this engine cannot open one on disk a second time, and in memory it grew by 6 GB a day.
# The engine's user `default` has no password and is who comes without a name: a web page of any origin could
# ask as it. So nothing but the two whole logins reaches a query; all others are told what ClickHouse says to
# a wrong password. `http_options_response` without headers ends `Access-Control-Allow-Origin: *`.


def config_xml(folder: Path, port: int, addresses: Sequence[str], passwords: Passwords) -> str:
    """For a server that keeps its logs in `folder` and listens on these addresses of the machine.

    It holds the passwords: only its owner may read it.
    """
    listen = "".join(f"<listen_host>{address}</listen_host>" for address in addresses)
    logins = "|".join(re.escape(basic_login(*login)) for login in asdict(passwords).items())
    return CONFIG_XML.format(folder=escape(str(folder)), port=port, listen=listen, logins=escape(logins))


def basic_login(user: str, password: str) -> str:
    """The header `Authorization` of this user (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
