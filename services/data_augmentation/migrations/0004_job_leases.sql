-- oldest code beside it: 0.2

-- Who is at work on a job and until when, what it belongs to, and its place in the order. Rows of version 0.1 have
-- no workload; they were wanted, as far as anybody knows, when they last changed.
ALTER TABLE data_augmentation_jobs
    ADD COLUMN IF NOT EXISTS workload LowCardinality(String) AFTER kind,
    ADD COLUMN IF NOT EXISTS wanted_at DateTime64(3, 'UTC') DEFAULT changed_at,
    ADD COLUMN IF NOT EXISTS lease_owner String,
    ADD COLUMN IF NOT EXISTS lease_until DateTime64(3, 'UTC'),
    ADD COLUMN IF NOT EXISTS deadline DateTime64(3, 'UTC');
