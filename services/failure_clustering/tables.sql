-- Answers that the model doubted or a user disliked. Only failure_clustering writes these tables.
CREATE TABLE IF NOT EXISTS failure_suspicions (
    prediction_id String,
    workload LowCardinality(String),
    predicted_at DateTime64(3, 'UTC'),
    answer LowCardinality(String),
    reason LowCardinality(String),
    flagged_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree
ORDER BY (workload, prediction_id, reason)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Every correction, confirmations too, and each prediction's earlier ones: what held at a cut can be told later.
CREATE TABLE IF NOT EXISTS failure_corrections (
    prediction_id String,
    workload LowCardinality(String),
    predicted_at DateTime64(3, 'UTC'),
    answer LowCardinality(String),
    right_answer LowCardinality(String),
    corrected_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree
ORDER BY (workload, prediction_id, corrected_at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS cycles (
    cycle_id String,
    workload LowCardinality(String),
    cut DateTime64(3, 'UTC'),
    reason String,
    requested_by String
) ENGINE = ReplacingMergeTree
ORDER BY (workload, cycle_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

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

CREATE OR REPLACE VIEW cycles_v1 AS
SELECT cycle_id, workload, cut, reason, requested_by FROM cycles FINAL;

CREATE OR REPLACE VIEW clusters_v1 AS
SELECT cycle_id, workload, cut, cluster_id, name, size, answer, right_answer, words, found_at
FROM clusters FINAL;

CREATE OR REPLACE VIEW failures_v1 AS
SELECT
    failures.prediction_id AS prediction_id, failures.workload AS workload,
    failures.predicted_at AS predicted_at, failures.answer AS answer, failures.right_answer AS right_answer,
    members.cluster_id AS cluster_id, members.cycle_id AS cycle_id
FROM (
    SELECT prediction_id, workload, predicted_at, answer, '' AS right_answer
    FROM (SELECT * FROM failure_suspicions FINAL LIMIT 1 BY workload, prediction_id)
    WHERE (workload, prediction_id) NOT IN (SELECT workload, prediction_id FROM failure_corrections)
    UNION ALL
    SELECT prediction_id, workload, predicted_at, answer, right_answer
    FROM (
        SELECT * FROM failure_corrections FINAL
        ORDER BY corrected_at DESC LIMIT 1 BY workload, prediction_id
    )
    WHERE answer != right_answer
) AS failures
LEFT JOIN (SELECT * FROM cluster_members FINAL) AS members
    ON members.workload = failures.workload AND members.prediction_id = failures.prediction_id;
