-- oldest code beside it: 0.2

-- The version column is part of the engine, so its new name takes a copy. What code of 0.1 writes while the copy
-- runs comes over with the second INSERT: it cannot write to a table without `said`.
-- only if verdicts.said exists
DROP TABLE IF EXISTS verdicts_0002 SYNC;
-- only if verdicts.said exists
CREATE TABLE verdicts_0002 (
    run_id String,
    workload LowCardinality(String),
    dataset_id String,
    cycle_id String,
    candidate String,
    champion String,
    verdict LowCardinality(String),
    reason String,
    evidence String,
    guardrails String,
    judged_at DateTime64(3, 'UTC'),
    event String CODEC(ZSTD(3)),
    published UInt8
) ENGINE = ReplacingMergeTree(published) ORDER BY (workload, run_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
-- only if verdicts.said exists
INSERT INTO verdicts_0002 SELECT * EXCEPT (said), said FROM verdicts;
-- only if verdicts.said exists
EXCHANGE TABLES verdicts AND verdicts_0002;
-- only if verdicts_0002.said exists
INSERT INTO verdicts SELECT * EXCEPT (said), said FROM verdicts_0002;
-- only if verdicts_0002.said exists
DROP TABLE verdicts_0002 SYNC;

-- The history of the champion alias: which adapter answers users, revision by revision.
CREATE TABLE IF NOT EXISTS alias_revisions (
    workload LowCardinality(String),
    revision UInt32,
    adapter String,
    uri String,
    digest String,
    base_model String,
    previous String,
    kind LowCardinality(String),
    run_id String,
    since DateTime64(3, 'UTC'),
    request_id String,
    reason String,
    requested_by String,
    published UInt8
) ENGINE = ReplacingMergeTree(published) ORDER BY (workload, revision)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
-- only if champions.said exists
INSERT INTO alias_revisions SELECT * EXCEPT (said), said FROM champions;
-- only if champions.said exists
DROP TABLE champions SYNC;
