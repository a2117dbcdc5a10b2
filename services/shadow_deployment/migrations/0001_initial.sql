-- oldest code beside it: 0.1

-- What the shadow knows. Rows are only ever added; a row said again replaces itself.

CREATE TABLE IF NOT EXISTS shadow_candidates (
    run_id String,
    workload LowCardinality(String),
    candidate String,
    event String CODEC(ZSTD(3)),
    evaluated_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY (workload, run_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS pairs (
    run_id String,
    workload LowCardinality(String),
    prediction_id String,
    predicted_at DateTime64(3, 'UTC'),
    champion LowCardinality(String),
    champion_answer LowCardinality(String),
    champion_confidence Float64,
    candidate LowCardinality(String),
    candidate_answer LowCardinality(String),
    candidate_confidence Float64,
    recorded_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY (workload, run_id, prediction_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- A correction may come before its pair or after it, so the two are joined when they are read.
CREATE TABLE IF NOT EXISTS shadow_right_answers (
    workload LowCardinality(String),
    prediction_id String,
    right_answer LowCardinality(String),
    corrected_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(corrected_at) ORDER BY (workload, prediction_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS verdicts (
    run_id String,
    workload LowCardinality(String),
    dataset_id String,
    cycle_id String,
    candidate String,
    champion String,
    verdict LowCardinality(String),
    reason String,
    evidence String,
    guardrails String,
    judged_at DateTime64(3, 'UTC'),
    event String CODEC(ZSTD(3)),
    said UInt8
) ENGINE = ReplacingMergeTree(said) ORDER BY (workload, run_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS champions (
    workload LowCardinality(String),
    revision UInt32,
    adapter String,
    uri String,
    digest String,
    base_model String,
    previous String,
    kind LowCardinality(String),
    run_id String,
    since DateTime64(3, 'UTC'),
    request_id String,
    reason String,
    requested_by String,
    said UInt8
) ENGINE = ReplacingMergeTree(said) ORDER BY (workload, revision)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Requests that found no earlier champion: heard again later, they still change nothing.
CREATE TABLE IF NOT EXISTS rollbacks_in_vain (
    workload LowCardinality(String),
    request_id String,
    requested_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY (workload, request_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
