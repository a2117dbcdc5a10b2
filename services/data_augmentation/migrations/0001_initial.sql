-- oldest code beside it: 0.1

-- The rows a workload came with, redacted and split. Golden and held-out rows are those of the first revision
-- for ever; later revisions bring training rows only. Internal to data_augmentation.
CREATE TABLE IF NOT EXISTS seeds (
    workload LowCardinality(String),
    revision Int64,
    train_uri String, train_digest String, train_rows UInt32,
    golden_uri String, golden_digest String, golden_rows UInt32,
    held_out_uri String, held_out_digest String, held_out_rows UInt32,
    redacted_values UInt32,
    frozen_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY (workload, revision)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS datasets (
    dataset_id String,
    workload LowCardinality(String),
    version UInt32,
    cycle_id String,
    cut DateTime64(3, 'UTC'),
    train_uri String, train_digest String, train_rows UInt32,
    golden_uri String, golden_digest String, golden_rows UInt32,
    held_out_uri String, held_out_digest String, held_out_rows UInt32,
    manifest_uri String, manifest_digest String,
    corrections_uri String, corrections_digest String, corrections_rows UInt32,
    seed UInt32, corrected UInt32, duplicates UInt32, leaks_blocked UInt32, invalid UInt32,
    redacted_values UInt32,
    published_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY (workload, dataset_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS dataset_refusals (
    workload LowCardinality(String),
    cycle_id String,
    reason String,
    refused_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY (workload, cycle_id, reason)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- See shared/jobs.py.
CREATE TABLE IF NOT EXISTS data_augmentation_jobs (
    job_id String,
    kind LowCardinality(String),
    task String CODEC(ZSTD(3)),
    state LowCardinality(String),
    attempts UInt8,
    result String CODEC(ZSTD(3)),
    error String,
    revision UInt32,
    changed_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(revision) ORDER BY job_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
