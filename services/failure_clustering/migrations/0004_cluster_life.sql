-- oldest code beside it: 0.2

-- What fails, as the latest cycle's frozen list has it. Only failure_clustering writes these tables.
CREATE TABLE IF NOT EXISTS failures (
    prediction_id String,
    workload LowCardinality(String),
    predicted_at DateTime64(3, 'UTC'),
    answer LowCardinality(String),
    right_answer String,
    cut DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(cut)
ORDER BY (workload, prediction_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- A cluster keeps its id from cycle to cycle. status is '' where version 0.1 found it; a cluster that is gone has a
-- last row with size 0.
ALTER TABLE clusters ADD COLUMN IF NOT EXISTS status LowCardinality(String);

ALTER TABLE clusters ADD COLUMN IF NOT EXISTS size_before UInt32;

ALTER TABLE clusters ADD COLUMN IF NOT EXISTS centroid Array(Float32);
