CREATE OR REPLACE VIEW pairs_v1 AS
SELECT
    pairs.run_id AS run_id, pairs.workload AS workload, pairs.prediction_id AS prediction_id,
    pairs.predicted_at AS predicted_at, pairs.champion AS champion, pairs.champion_answer AS champion_answer,
    pairs.champion_confidence AS champion_confidence, pairs.candidate AS candidate,
    pairs.candidate_answer AS candidate_answer, pairs.candidate_confidence AS candidate_confidence,
    pairs.champion_answer != pairs.candidate_answer AS differs,
    toString(answers.right_answer) AS right_answer, pairs.recorded_at AS recorded_at,
    answers.reviewers AS reviewers
FROM pairs FINAL
LEFT JOIN shadow_right_answers AS answers FINAL
    ON answers.workload = pairs.workload AND answers.prediction_id = pairs.prediction_id;

CREATE OR REPLACE VIEW verdicts_v1 AS
SELECT run_id, workload, dataset_id, cycle_id, candidate, champion, verdict, reason, evidence, guardrails, judged_at
FROM verdicts FINAL;

CREATE OR REPLACE VIEW champions_v1 AS
SELECT workload, revision, adapter, uri, digest, base_model, previous, kind, run_id, since
FROM alias_revisions FINAL;

-- Adapters that came without a contract: the copy that has one, and answers in their place under the same name.
CREATE OR REPLACE VIEW contracted_adapters_v1 AS
SELECT workload, adapter, uri, digest, base_model
FROM contracted_adapters FINAL;

-- Present champions that cannot be loaded any more: reason is a sentence that says why, and what to do.
CREATE OR REPLACE VIEW lost_champions_v1 AS
SELECT workload, adapter, reason, found_at
FROM lost_champions FINAL
WHERE reason != ''
    AND (workload, digest) IN (SELECT workload, argMax(digest, revision) FROM alias_revisions GROUP BY workload);

-- Candidates that wait: the model server is down, serves another base model or does not take their rank, or a key
-- cannot be used.
CREATE OR REPLACE VIEW shadow_waits_v1 AS
SELECT workload, run_id, since, why
FROM candidate_waits FINAL
WHERE why != '' AND run_id NOT IN (SELECT run_id FROM verdicts);
