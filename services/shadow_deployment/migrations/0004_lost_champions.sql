-- oldest code beside it: 0.2

-- Champions that cannot be loaded any more, and why; the reason is empty once they can again.
CREATE TABLE IF NOT EXISTS lost_champions (
    workload LowCardinality(String),
    adapter String,
    digest String,
    reason String,
    found_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(found_at) ORDER BY (workload, digest)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
