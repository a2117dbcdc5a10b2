-- oldest code beside it: 0.2
-- Every revision of every workload, kept for ever. Only workloads writes these tables.
CREATE TABLE IF NOT EXISTS workload_revisions (
    workload LowCardinality(String),
    revision Int64,
    event String CODEC(ZSTD(3)),
    added_at DateTime64(3, 'UTC'),
    is_published UInt8
) ENGINE = ReplacingMergeTree(is_published)
ORDER BY (workload, revision)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS workload_cycles (
    cycle_id String,
    workload LowCardinality(String),
    cutoff DateTime64(3, 'UTC'),
    reason String,
    requested_by String,
    event String CODEC(ZSTD(3)),
    started_at DateTime64(3, 'UTC'),
    is_published UInt8
) ENGINE = ReplacingMergeTree(is_published)
ORDER BY (workload, cycle_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Where each round, of a revision or a cycle, is; the latest change holds.
CREATE TABLE IF NOT EXISTS workload_rounds (
    workload LowCardinality(String),
    dataset_id String,
    round_id String,
    kind LowCardinality(String),
    stage LowCardinality(String),
    sentence String,
    revision Int64,
    outcome LowCardinality(String),
    reason String,
    run_id String,
    version UInt64
) ENGINE = ReplacingMergeTree(version)
ORDER BY (workload, dataset_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Answers that the model doubted or a user disliked.
CREATE TABLE IF NOT EXISTS suspected_predictions (
    prediction_id String,
    workload LowCardinality(String),
    predicted_at DateTime64(3, 'UTC'),
    answer LowCardinality(String),
    reason LowCardinality(String),
    flagged_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree
ORDER BY (workload, prediction_id, reason)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Every correction, confirmations too, and each prediction's earlier ones: what held at a cutoff can be told later.
CREATE TABLE IF NOT EXISTS corrected_predictions (
    prediction_id String,
    workload LowCardinality(String),
    predicted_at DateTime64(3, 'UTC'),
    answer LowCardinality(String),
    right_answer LowCardinality(String),
    corrected_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree
ORDER BY (workload, prediction_id, corrected_at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Up to version 0.1 failure_clustering kept cycles, suspicions and corrections.
-- only if failure_suspicions.prediction_id exists
INSERT INTO suspected_predictions SELECT prediction_id, workload, predicted_at, answer, reason, flagged_at
FROM failure_suspicions;

-- only if failure_corrections.prediction_id exists
INSERT INTO corrected_predictions SELECT prediction_id, workload, predicted_at, answer, right_answer, corrected_at
FROM failure_corrections;

-- only if cycles.cut exists
INSERT INTO workload_cycles SELECT cycle_id, workload, cut, reason, requested_by, '', cut, 1 FROM cycles;

DROP TABLE IF EXISTS failure_suspicions;

DROP TABLE IF EXISTS failure_corrections;

DROP TABLE IF EXISTS cycles;
