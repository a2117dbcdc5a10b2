-- oldest code beside it: 0.1

-- Cycles, suspicions and corrections of version 0.1 are taken over by workloads.
CREATE TABLE IF NOT EXISTS clusters (
    cycle_id String,
    workload LowCardinality(String),
    cut DateTime64(3, 'UTC'),
    cluster_id String,
    name String,
    size UInt32,
    answer LowCardinality(String),
    right_answer LowCardinality(String),
    words Array(String),
    found_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(found_at)
ORDER BY (workload, cycle_id, cluster_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Of several cycles that a failure went through, the one with the latest cut says where it belongs.
CREATE TABLE IF NOT EXISTS cluster_members (
    prediction_id String,
    workload LowCardinality(String),
    cluster_id String,
    cycle_id String,
    cut DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(cut)
ORDER BY (workload, prediction_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- See shared/jobs.py.
CREATE TABLE IF NOT EXISTS failure_clustering_jobs (
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
