-- oldest code beside it: 0.2

-- Adapters that came without a contract, and the frozen copy that has one. The copy is the same model by the same
-- name, elsewhere and with another digest.
CREATE TABLE IF NOT EXISTS contracted_adapters (
    workload LowCardinality(String),
    adapter String,
    uri String,
    digest String,
    base_model String,
    made_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
) ENGINE = ReplacingMergeTree(made_at) ORDER BY (workload, adapter)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
