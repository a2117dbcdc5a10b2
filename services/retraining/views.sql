-- candidate, cycle_id, reason are '' where there is none.
CREATE OR REPLACE VIEW runs_v1 AS
SELECT run_id, workload, dataset_id, cycle_id, candidate, state, steps, final_loss, seconds, reason, changed_at
FROM runs FINAL;

CREATE OR REPLACE VIEW scorecards_v1 AS
SELECT run_id, workload, dataset_id, cycle_id, candidate, champion, scorecard, evaluated_at
FROM scorecards FINAL;

CREATE OR REPLACE VIEW training_limits_v1 AS SELECT lora_rank FROM training_limits FINAL;
