CREATE OR REPLACE VIEW predictions_v1 AS
SELECT prediction_id, predicted_at, workload, adapter, input, answer, confidence, probabilities, latency_ms,
    tokens_in, attributes, subject_id, group_id
FROM predictions FINAL;

CREATE OR REPLACE VIEW feedback_v1 AS
SELECT feedback_id, prediction_id, workload, thumb, score, comment, given_at, subject_id, group_id
FROM feedback FINAL;

CREATE OR REPLACE VIEW flags_v1 AS
SELECT prediction_id, workload, reason, flagged_at
FROM flags FINAL;
