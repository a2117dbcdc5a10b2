-- state is "started" or "over"; outcome is '' while it is under way, and of cycles up to version 0.1.
CREATE OR REPLACE VIEW cycles_v1 AS
SELECT
    cycles.cycle_id AS cycle_id, cycles.workload AS workload, cycles.cutoff AS cut,
    cycles.reason AS reason, cycles.requested_by AS requested_by, cycles.cutoff AS cutoff,
    cycles.started_at AS started_at,
    if(rounds.round_id = '' OR rounds.outcome != '', 'over', 'started') AS state,
    CAST(rounds.outcome AS String) AS outcome, rounds.reason AS outcome_reason
FROM workload_cycles AS cycles FINAL
LEFT JOIN workload_rounds AS rounds FINAL
    ON rounds.workload = cycles.workload AND rounds.round_id = cycles.cycle_id;

-- definition is JSON, as in the event WorkloadAdded; retired_at is '' unless the workload is retired.
CREATE OR REPLACE VIEW workload_revisions_v1 AS
SELECT
    workload, revision, JSONExtractRaw(event, 'definition') AS definition,
    JSONExtractString(event, 'rows', 'uri') AS rows_uri, JSONExtractString(event, 'rows', 'digest') AS rows_digest,
    JSONExtractString(event, 'retired_at') AS retired_at, added_at
FROM workload_revisions FINAL;
