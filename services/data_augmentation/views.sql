-- cycle_id is '' where no cycle led to it.
CREATE OR REPLACE VIEW datasets_v1 AS
SELECT dataset_id, workload, version, cycle_id, cutoff AS cut, train_uri, train_digest, train_rows,
    golden_uri, golden_digest, golden_rows, held_out_uri, held_out_digest, held_out_rows, manifest_uri,
    seed, corrected, duplicates, leaks_blocked, invalid, redacted_values, published_at, cutoff
FROM datasets FINAL;

CREATE OR REPLACE VIEW dataset_refusals_v1 AS
SELECT workload, cycle_id, reason, refused_at FROM dataset_refusals FINAL;
