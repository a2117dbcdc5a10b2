-- oldest code beside it: 0.2
-- What became of dead letters: these are listed no more. Kafka keeps a dead letter 30 days; so this may forget it, too.
CREATE TABLE IF NOT EXISTS dead_letter_decisions (
    dead_letter_id String,
    topic LowCardinality(String),
    service LowCardinality(String),
    decision LowCardinality(String),
    decided_by String,
    reason String,
    decided_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(decided_at)
ORDER BY (topic, dead_letter_id)
TTL toDateTime(decided_at) + INTERVAL 90 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
