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

-- candidate, cycle_id, reason are '' where there is none.
CREATE OR REPLACE VIEW runs_v1 AS
SELECT run_id, workload, dataset_id, cycle_id, candidate, state, steps, final_loss, seconds, reason, changed_at
FROM runs FINAL;

CREATE OR REPLACE VIEW scorecards_v1 AS
SELECT run_id, workload, dataset_id, cycle_id, candidate, champion, scorecard, evaluated_at
FROM scorecards FINAL;
