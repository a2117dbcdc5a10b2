"""The server's `config.xml`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

CONFIG_XML = """\
<clickhouse>
  <logger>
    <level>warning</level><size>10M</size><count>2</count>
    <log>{folder}/server.log</log><errorlog>{folder}/error.log</errorlog>
  </logger>
  {listen}
  <http_port>{port}</http_port>
  <users_config>{folder}/users.xml</users_config>
  <mark_cache_size>268435456</mark_cache_size>
  <max_server_memory_usage_to_ram_ratio>0.5</max_server_memory_usage_to_ram_ratio>
  <shutdown_wait_unfinished>1</shutdown_wait_unfinished>
  <asynchronous_metrics_update_period_s>60</asynchronous_metrics_update_period_s>
</clickhouse>
"""
# No query log: this engine cannot open one on disk a second time, and in memory it grew by 6 GB a day.


def config_xml(folder: Path, port: int, addresses: Sequence[str]) -> str:
    """For a server that keeps its logs in `folder` and listens on these addresses of the machine."""
    listen = "".join(f"<listen_host>{address}</listen_host>" for address in addresses)
    return CONFIG_XML.format(folder=escape(str(folder)), port=port, listen=listen)
