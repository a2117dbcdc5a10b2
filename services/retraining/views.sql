-- candidate, cycle_id, reason are '' where there is none, requested_by where the run followed by itself. `training` and
-- `plan` are JSON: as it was asked for, and every setting as it ran ('' until it has).
CREATE OR REPLACE VIEW runs_v1 AS
SELECT
    run_id, workload, dataset_id, cycle_id, candidate, state, steps, final_loss, seconds, reason, changed_at,
    requested_by, training, method, plan, train_rows, rows_seen, eval_loss, warnings,
    peak_memory_gb, estimated_memory_gb
FROM runs FINAL;

-- Every adapter there is. Which one answers is for the owner of the alias to say.
CREATE OR REPLACE VIEW adapters_v1 AS
SELECT
    workload, name, run_id, uri, digest, base_model, method, plan, dataset_id, cycle_id, train_rows, rows_seen, steps,
    final_loss, eval_loss, seconds, warnings, trained_at, peak_memory_gb, estimated_memory_gb
FROM adapters FINAL;

CREATE OR REPLACE VIEW scorecards_v1 AS
SELECT run_id, workload, dataset_id, cycle_id, candidate, champion, scorecard, evaluated_at
FROM scorecards FINAL;

CREATE OR REPLACE VIEW training_limits_v1 AS SELECT lora_rank FROM training_limits FINAL;
