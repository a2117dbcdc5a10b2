-- oldest code beside it: 0.2

-- Trainings that somebody asked for, beside those that follow a dataset by themselves.
CREATE TABLE IF NOT EXISTS training_requests (
    request_id String,
    workload LowCardinality(String),
    event String CODEC(ZSTD(3)),
    requested_at DateTime64(3, 'UTC'),
    is_published UInt8
) ENGINE = ReplacingMergeTree(is_published)
ORDER BY (workload, request_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Several rounds may be of one dataset: the one it led to, and one for each training asked for.
ALTER TABLE workload_rounds
    ADD COLUMN IF NOT EXISTS request_id String,
    MODIFY ORDER BY (workload, dataset_id, request_id);
