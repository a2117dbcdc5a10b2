-- oldest code beside it: 0.1

-- What training can take, as this service's settings say at its start: one row.
CREATE TABLE IF NOT EXISTS training_limits (
    name LowCardinality(String),
    lora_rank UInt32,
    told_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(told_at) ORDER BY name;
