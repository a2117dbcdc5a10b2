-- oldest code beside it: 0.2

-- Since when a candidate waits for the model server, and why: of each run the row that was told last. `why` is ''
-- once it waits no longer.
CREATE TABLE IF NOT EXISTS candidate_waits (
    workload LowCardinality(String),
    run_id String,
    since DateTime64(3, 'UTC'),
    why String,
    told_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(told_at) ORDER BY (workload, run_id);
