-- oldest code beside it: 0.2

-- What was asked for and what came of it: `training` and `plan` are JSON, wanted and as it ran.
ALTER TABLE runs
    ADD COLUMN IF NOT EXISTS requested_by String,
    ADD COLUMN IF NOT EXISTS training String CODEC(ZSTD(3)),
    ADD COLUMN IF NOT EXISTS method LowCardinality(String),
    ADD COLUMN IF NOT EXISTS plan String CODEC(ZSTD(3)),
    ADD COLUMN IF NOT EXISTS train_rows UInt32,
    ADD COLUMN IF NOT EXISTS rows_seen Nullable(UInt64),
    ADD COLUMN IF NOT EXISTS eval_loss Nullable(Float64),
    ADD COLUMN IF NOT EXISTS warnings Array(String);

CREATE TABLE IF NOT EXISTS run_cancellations (
    run_id String,
    workload LowCardinality(String),
    requested_by String,
    reason String,
    requested_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY run_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Every adapter that was ever trained, with the run it is from.
CREATE TABLE IF NOT EXISTS adapters (
    workload LowCardinality(String),
    name String,
    run_id String,
    uri String, digest String, base_model String,
    method LowCardinality(String),
    plan String CODEC(ZSTD(3)),
    dataset_id String,
    cycle_id String,
    train_rows UInt32,
    rows_seen Nullable(UInt64),
    steps UInt32,
    final_loss Float64,
    eval_loss Nullable(Float64),
    seconds Float64,
    warnings Array(String),
    trained_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(trained_at) ORDER BY (workload, name)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Those of earlier versions stand in the results of their jobs.
INSERT INTO adapters (
    workload, name, run_id, uri, digest, base_model, method, dataset_id, cycle_id, train_rows, steps, final_loss,
    seconds, trained_at)
WITH JSONExtractRaw(result, 'trained') AS trained, JSONExtractRaw(trained, 'candidate') AS candidate
SELECT
    JSONExtractString(trained, 'workload'), JSONExtractString(candidate, 'name'),
    JSONExtractString(trained, 'run_id'), JSONExtractString(candidate, 'uri'),
    JSONExtractString(candidate, 'digest'), JSONExtractString(candidate, 'base_model'),
    JSONExtractString(trained, 'method'), JSONExtractString(trained, 'dataset_id'),
    JSONExtractString(trained, 'cycle_id'), JSONExtractUInt(trained, 'train_rows'),
    JSONExtractUInt(trained, 'steps'), JSONExtractFloat(trained, 'final_loss'),
    JSONExtractFloat(trained, 'seconds'),
    parseDateTime64BestEffortOrZero(JSONExtractString(trained, 'trained_at'), 3, 'UTC')
FROM retraining_jobs FINAL WHERE kind = 'train' AND JSONExtractString(candidate, 'name') != '';
