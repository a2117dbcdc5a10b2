CREATE OR REPLACE VIEW predictions_v1 AS
SELECT prediction_id, predicted_at, workload, adapter, input, answer, confidence, probabilities, latency_ms,
    tokens_in, attributes, subject_id, group_id, written_by, said_model
FROM predictions FINAL;

-- What is new since some moment: a prediction that is stored again stands here again.
CREATE OR REPLACE VIEW arrivals_v1 AS
SELECT prediction_id, workload, adapter, predicted_at, confidence, arrived_at FROM arrivals;

-- How many predictions were made when, in stretches of five minutes, each counted once. Those that arrived since the
-- watermark are counted as they are asked for.
CREATE OR REPLACE VIEW prediction_counts_v1 AS
SELECT workload, adapter, made_at, predictions, confidence_sum, confidences, last_predicted_at
FROM prediction_counts FINAL
WHERE slice_from < (SELECT max(audited_until) FROM audit_watermark)
UNION ALL
SELECT workload, adapter, made_at, count() AS predictions, sum(one_confidence) AS confidence_sum,
    sumMap(map(toUInt8(one_confidence * 100 + 0.0001), toUInt64(1))) AS confidences,
    max(made) AS last_predicted_at
FROM (
    SELECT workload, argMin(arrivals.adapter, arrived_at) AS adapter,
        argMin(arrivals.confidence, arrived_at) AS one_confidence, argMin(predicted_at, arrived_at) AS made,
        toDateTime64(intDiv(toUnixTimestamp64Milli(made), 300000) * 300, 0, 'UTC') AS made_at
    FROM arrivals
    WHERE arrived_at > (SELECT max(audited_until) FROM audit_watermark)
    GROUP BY workload, cityHash64(prediction_id)
)
GROUP BY workload, adapter, made_at;

CREATE OR REPLACE VIEW feedback_v1 AS
SELECT feedback_id, prediction_id, workload, thumb, score, comment, given_at, subject_id, group_id
FROM feedback FINAL;

-- Feedback whose prediction is not here; `elsewhere` names the workload that has a prediction of that id.
CREATE OR REPLACE VIEW unmatched_feedback_v1 AS
SELECT feedback_id, prediction_id, workload, given_at, elsewhere
FROM feedback_waiting FINAL WHERE state < 2;

CREATE OR REPLACE VIEW flags_v1 AS
SELECT prediction_id, workload, reason, flagged_at
FROM flags FINAL;
