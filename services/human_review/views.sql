CREATE OR REPLACE VIEW reviews_v1 AS
SELECT review_id, prediction_id, workload, reviewer, right_answer, given_at FROM reviews FINAL;

CREATE OR REPLACE VIEW corrections_v1 AS
SELECT prediction_id, workload, predicted_at, adapter, answer, confidence, right_answer, reviewers, corrected_at
FROM corrections FINAL;

CREATE OR REPLACE VIEW review_items_v1 AS
SELECT
    items.prediction_id AS prediction_id, items.workload AS workload, items.predicted_at AS predicted_at,
    items.kind AS kind, items.options AS options, items.adapter AS adapter, items.answer AS answer,
    items.confidence AS confidence, items.priority AS priority, given.reviewers AS reviewers,
    items.reviews_wanted AS reviews_wanted, if(outcomes.state = '', 'open', outcomes.state) AS state,
    items.queued_at AS queued_at
FROM (
    SELECT * FROM review_items FINAL ORDER BY strength DESC LIMIT 1 BY workload, prediction_id
) AS items
LEFT JOIN (
    SELECT workload, prediction_id, groupArray(reviewer) AS reviewers
    FROM reviews FINAL GROUP BY workload, prediction_id
) AS given ON given.workload = items.workload AND given.prediction_id = items.prediction_id
LEFT JOIN (
    SELECT workload, prediction_id, toString(state) AS state FROM review_outcomes FINAL
) AS outcomes ON outcomes.workload = items.workload AND outcomes.prediction_id = items.prediction_id;

-- Of the predictions that two or more reviewers judged: whether the first two gave the same answer.
CREATE OR REPLACE VIEW agreement_v1 AS
SELECT workload, count() AS n, countIf(answers[1] = answers[2]) AS agreed
FROM (
    SELECT
        workload, prediction_id,
        arrayMap(one -> one.2, arraySort(groupArray((given_at, toString(right_answer), reviewer)))) AS answers
    FROM reviews FINAL GROUP BY workload, prediction_id HAVING length(answers) >= 2
)
GROUP BY workload;
