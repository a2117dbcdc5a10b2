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

-- cycle_id is '' where no cycle led to it.
CREATE OR REPLACE VIEW datasets_v1 AS
SELECT dataset_id, workload, version, cycle_id, cut, train_uri, train_digest, train_rows,
    golden_uri, golden_digest, golden_rows, held_out_uri, held_out_digest, held_out_rows, manifest_uri,
    seed, corrected, duplicates, leaks_blocked, invalid, redacted_values, published_at
FROM datasets FINAL;

CREATE OR REPLACE VIEW dataset_refusals_v1 AS
SELECT workload, cycle_id, reason, refused_at FROM dataset_refusals FINAL;
