"""A small, durable, single-node broker that speaks the Kafka protocol on loopback, for a machine without one.

It does what tuneloop's clients need (idempotent producers, classic consumer groups, administration) and
leaves out transactions, compaction, KIP-848, replication and access control. What was acknowledged survives
the death of the process, `kill -9` included; power loss is covered with `--fsync`. Who needs more changes one
address and has Apache Kafka.
"""
