-- oldest code beside it: 0.1

-- What the live models answered. Keyed by id alone: an app that sends a prediction again, with another time,
-- replaces it. The gateway's ids begin with their time, so ids near each other are near in time as well, and
-- the index by time skips what lies outside.
CREATE TABLE IF NOT EXISTS predictions (
    prediction_id String,
    workload LowCardinality(String),
    predicted_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    adapter LowCardinality(String),
    input String CODEC(ZSTD(3)),
    answer LowCardinality(String),
    confidence Float32,
    probabilities Map(String, Float32) CODEC(ZSTD(3)),
    latency_ms Float32,
    tokens_in UInt32 CODEC(T64, ZSTD(1)),
    attributes Map(String, String) CODEC(ZSTD(3)),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta(8), ZSTD(1)),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3),
    INDEX by_time predicted_at TYPE minmax GRANULARITY 1
) ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (workload, prediction_id)
TTL toDateTime(stored_at) + INTERVAL 400 DAY DELETE
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

-- What users said. It may stand here before its prediction does.
CREATE TABLE IF NOT EXISTS feedback (
    feedback_id String,
    prediction_id String,
    workload LowCardinality(String),
    thumb LowCardinality(String),
    score Nullable(Float32),
    comment String CODEC(ZSTD(3)),
    is_negative Bool,
    given_at DateTime64(3, 'UTC'),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta(8), ZSTD(1)),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (workload, prediction_id, feedback_id)
TTL toDateTime(stored_at) + INTERVAL 400 DAY DELETE
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

-- Which predictions were flagged, and when first: of two rows the earlier one stays.
CREATE TABLE IF NOT EXISTS flags (
    prediction_id String,
    workload LowCardinality(String),
    reason LowCardinality(String),
    flagged_at DateTime64(3, 'UTC'),
    precedence UInt64 MATERIALIZED 18446744073709551615 - toUnixTimestamp64Milli(flagged_at)
) ENGINE = ReplacingMergeTree(precedence)
ORDER BY (workload, prediction_id, reason)
TTL toDateTime(flagged_at) + INTERVAL 400 DAY DELETE
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
