-- oldest code beside it: 0.1

-- Why predictions are in the queue: one row for each reason. Only human_review writes these tables.
CREATE TABLE IF NOT EXISTS review_items (
    prediction_id String,
    workload LowCardinality(String),
    predicted_at DateTime64(3, 'UTC'),
    kind LowCardinality(String),
    strength UInt8,
    options Array(String),
    adapter LowCardinality(String),
    answer String,
    confidence Float32,
    priority Float32,
    reviews_wanted UInt8,
    queued_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(queued_at)
ORDER BY (workload, prediction_id, kind)
TTL toDateTime(queued_at) + INTERVAL 400 DAY DELETE
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- A later review by the same reviewer replaces the one before.
CREATE TABLE IF NOT EXISTS reviews (
    review_id String,
    prediction_id String,
    workload LowCardinality(String),
    reviewer LowCardinality(String),
    right_answer LowCardinality(String),
    given_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(given_at)
ORDER BY (workload, prediction_id, reviewer)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- What the reviews of a prediction came to. A reviewed prediction without a row here is not logged yet.
CREATE TABLE IF NOT EXISTS review_outcomes (
    prediction_id String,
    workload LowCardinality(String),
    state LowCardinality(String),
    decided_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(decided_at)
ORDER BY (workload, prediction_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS corrections (
    prediction_id String,
    workload LowCardinality(String),
    predicted_at DateTime64(3, 'UTC'),
    adapter LowCardinality(String),
    answer LowCardinality(String),
    confidence Float32,
    right_answer LowCardinality(String),
    reviewers Array(String),
    corrected_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(corrected_at)
ORDER BY (workload, prediction_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
