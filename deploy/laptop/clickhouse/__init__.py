"""ClickHouse for one machine: the engine of the chdb wheel behind its own HTTP server, on loopback."""
