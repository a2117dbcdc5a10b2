-- status is one of new, growing, steady, resolved, back again; '' where version 0.1 found the cluster. A cluster that is
-- gone has size 0 in the cycle that found it so.
CREATE OR REPLACE VIEW clusters_v1 AS
SELECT cycle_id, workload, cut, cluster_id, name, size, answer, right_answer, words, found_at, cut AS cutoff, status,
    size_before
FROM clusters FINAL;

-- What the last cycle that took up a failure knew of it; '' as its cluster where it is in none.
CREATE OR REPLACE VIEW failures_v1 AS
SELECT
    failures.prediction_id AS prediction_id, failures.workload AS workload,
    failures.predicted_at AS predicted_at, failures.answer AS answer, failures.right_answer AS right_answer,
    members.cluster_id AS cluster_id, members.cycle_id AS cycle_id
FROM failures FINAL
LEFT JOIN (SELECT * FROM cluster_members FINAL) AS members
    ON members.workload = failures.workload AND members.prediction_id = failures.prediction_id;
