-- oldest code beside it: 0.1

-- One row per run and state it has been in; the furthest state holds, whatever order they are stored in.
CREATE TABLE IF NOT EXISTS runs (
    run_id String,
    workload LowCardinality(String),
    dataset_id String,
    cycle_id String,
    candidate String,
    state LowCardinality(String),
    steps UInt32,
    final_loss Float64,
    seconds Float64,
    reason String,
    changed_at DateTime64(3, 'UTC'),
    place UInt8
) ENGINE = ReplacingMergeTree(place) ORDER BY (workload, run_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS scorecards (
    run_id String,
    workload LowCardinality(String),
    dataset_id String,
    cycle_id String,
    candidate String,
    champion String,
    scorecard String CODEC(ZSTD(3)),
    evaluated_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY (workload, run_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- What a model once answered to a set of questions, so that it need not be asked again. `model` is an adapter's
-- digest, or the base model's name. Internal to retraining.
CREATE TABLE IF NOT EXISTS model_answers (
    model String,
    questions_digest String,
    uri String, digest String, rows UInt32,
    answered_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY (model, questions_digest)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- See shared/jobs.py.
CREATE TABLE IF NOT EXISTS retraining_jobs (
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
