-- oldest code beside it: 0.2

-- What was done, by whom, kept for ever: one hash chain for each Kafka partition; action_id sorts by time. `hash` covers `action`, canonical JSON, and the hash of the row before.
CREATE TABLE IF NOT EXISTS audit_log (
    partition Int32,
    number Int64,
    action_id String,
    action String CODEC(ZSTD(3)),
    hash String,
    INDEX action_ids action_id TYPE minmax GRANULARITY 1
) ENGINE = ReplacingMergeTree
ORDER BY (partition, number)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
