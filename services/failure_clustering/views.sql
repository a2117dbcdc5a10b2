CREATE OR REPLACE VIEW cycles_v1 AS
SELECT cycle_id, workload, cut, reason, requested_by, cut AS cutoff FROM cycles FINAL;

CREATE OR REPLACE VIEW clusters_v1 AS
SELECT cycle_id, workload, cut, cluster_id, name, size, answer, right_answer, words, found_at, cut AS cutoff
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
