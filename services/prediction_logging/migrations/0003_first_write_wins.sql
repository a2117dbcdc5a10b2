-- oldest code beside it: 0.2

-- The first write of an id holds: of rows with one key, ClickHouse keeps that of the highest precedence, which is
-- the earliest arrival. The version column is part of the engine, so it takes a copy, of the rows that were shown.
-- What code of 0.2 writes meanwhile comes over with the second INSERT, where its id is not there yet; what it writes
-- afterwards arrives when ClickHouse takes it. A granule is small, for most questions are for a few ids, and an app's
-- own ids lie anywhere.
-- only if predictions.stored_at exists
DROP TABLE IF EXISTS predictions_0003 SYNC;
-- only if predictions.stored_at exists
CREATE TABLE predictions_0003 (
    prediction_id String,
    workload LowCardinality(String),
    predicted_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    adapter LowCardinality(String),
    input String CODEC(ZSTD(1)),
    answer LowCardinality(String),
    confidence Float32,
    probabilities Map(String, Float32) CODEC(ZSTD(1)),
    latency_ms Float32,
    tokens_in UInt32 CODEC(T64, ZSTD(1)),
    attributes Map(String, String) CODEC(ZSTD(1)),
    subject_id String,
    group_id String,
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta(8), ZSTD(1)),
    arrived_at DateTime64(9, 'UTC') DEFAULT now64(9) CODEC(Delta(8), ZSTD(1)),
    precedence UInt64 MATERIALIZED 18446744073709551615 - toUnixTimestamp64Nano(arrived_at) CODEC(Delta(8), ZSTD(1)),
    content UInt64 MATERIALIZED cityHash64(input, answer, adapter, confidence),
    INDEX by_time predicted_at TYPE minmax GRANULARITY 8
) ENGINE = ReplacingMergeTree(precedence)
ORDER BY (workload, prediction_id)
TTL toDateTime(arrived_at) + INTERVAL 400 DAY DELETE
SETTINGS index_granularity = 1024, fsync_after_insert = 1, fsync_part_directory = 1;
-- only if predictions.stored_at exists
INSERT INTO predictions_0003 SELECT * EXCEPT (stored_at), stored_at FROM predictions FINAL;
-- only if predictions.stored_at exists
EXCHANGE TABLES predictions AND predictions_0003;
-- only if predictions_0003.stored_at exists
INSERT INTO predictions
WITH recent AS (
    SELECT * FROM predictions_0003 WHERE stored_at >= (
        SELECT metadata_modification_time - INTERVAL 1 MINUTE FROM system.tables
        WHERE database = currentDatabase() AND name = 'predictions'))
SELECT * EXCEPT (stored_at), stored_at FROM recent
WHERE (workload, prediction_id) NOT IN (
    SELECT workload, prediction_id FROM predictions
    WHERE (workload, prediction_id) IN (SELECT workload, prediction_id FROM recent));
-- only if predictions_0003.stored_at exists
DROP TABLE predictions_0003 SYNC;

-- What arrived when, a few bytes each: what is new since some moment is asked of it, and never of all predictions.
-- A prediction that is stored again stands here again.
CREATE TABLE IF NOT EXISTS arrivals (
    workload LowCardinality(String),
    arrived_at DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    prediction_id String,
    adapter LowCardinality(String),
    predicted_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    confidence Float32,
    content UInt64,
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta(8), ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toDate(arrived_at)
PRIMARY KEY (workload, arrived_at) ORDER BY (workload, arrived_at, predicted_at)
TTL toDateTime(arrived_at) + INTERVAL 35 DAY DELETE
SETTINGS index_granularity = 1024, ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;
CREATE MATERIALIZED VIEW IF NOT EXISTS arrivals_feed TO arrivals AS
SELECT workload, arrived_at, prediction_id, adapter, predicted_at, confidence, content, kafka_partition, kafka_offset
FROM predictions;

-- Predictions by the time they were made, counted once each: slice by slice of their arrival, up to the watermark.
-- A slice that is counted again replaces itself; one that begins at the watermark does not count yet.
CREATE TABLE IF NOT EXISTS prediction_counts (
    workload LowCardinality(String),
    slice_from DateTime64(9, 'UTC'),
    slice_to DateTime64(9, 'UTC'),
    made_at DateTime64(0, 'UTC'),
    adapter LowCardinality(String),
    predictions UInt64,
    confidence_sum Float64,
    confidences Map(UInt8, UInt64),
    last_predicted_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(slice_to)
ORDER BY (workload, slice_from, made_at, adapter)
TTL toDateTime(slice_to) + INTERVAL 400 DAY DELETE
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
CREATE TABLE IF NOT EXISTS audit_watermark (
    audited_until DateTime64(9, 'UTC')
) ENGINE = ReplacingMergeTree(audited_until) ORDER BY ()
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
INSERT INTO audit_watermark SELECT now64(9) - INTERVAL 5 MINUTE;
INSERT INTO prediction_counts
SELECT workload, toDateTime64(0, 9, 'UTC'), (SELECT max(audited_until) FROM audit_watermark),
    toDateTime64(intDiv(toUnixTimestamp64Milli(predicted_at), 300000) * 300, 0, 'UTC') AS made, adapter, count(), sum(confidence),
    sumMap(map(toUInt8(confidence * 100 + 0.0001), toUInt64(1))), max(predicted_at)
FROM predictions FINAL
WHERE arrived_at <= (SELECT max(audited_until) FROM audit_watermark)
GROUP BY workload, made, adapter;
INSERT INTO arrivals
SELECT workload, arrived_at, prediction_id, adapter, predicted_at, confidence, content, kafka_partition, kafka_offset
FROM predictions WHERE arrived_at > now64(9) - INTERVAL 35 DAY;

-- Feedback that came before its prediction, or never meets it. `state` 0: it waits; 1: the prediction of that id is
-- of another workload; 2: it has met its prediction. Code of 0.2 does not look after the feedback it stores.
CREATE TABLE IF NOT EXISTS feedback_waiting (
    prediction_id String,
    workload LowCardinality(String),
    feedback_id String,
    is_negative Bool,
    given_at DateTime64(3, 'UTC'),
    state UInt8,
    elsewhere LowCardinality(String),
    changed_at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = ReplacingMergeTree(state)
ORDER BY (prediction_id, workload, feedback_id)
TTL toDateTime(changed_at) + INTERVAL 400 DAY DELETE
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE feedback ADD COLUMN IF NOT EXISTS is_looked_after Bool;
ALTER TABLE feedback MODIFY SETTING non_replicated_deduplication_window = 0;
CREATE MATERIALIZED VIEW IF NOT EXISTS feedback_of_0_2 TO feedback_waiting AS
SELECT prediction_id, workload, feedback_id, is_negative, given_at, 0 AS state, '' AS elsewhere
FROM feedback WHERE NOT is_looked_after;
INSERT INTO feedback_waiting (prediction_id, workload, feedback_id, is_negative, given_at, state, elsewhere)
SELECT prediction_id, workload, feedback_id, is_negative, given_at, 0, '' FROM feedback FINAL
WHERE (workload, prediction_id) NOT IN (
    SELECT workload, prediction_id FROM predictions
    WHERE (workload, prediction_id) IN (SELECT workload, prediction_id FROM feedback));
