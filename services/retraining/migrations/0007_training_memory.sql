-- oldest code beside it: 0.2

-- In 1e9 bytes: the most that a training took, and what was counted before it began. Earlier ones do not know.
ALTER TABLE runs
    ADD COLUMN IF NOT EXISTS peak_memory_gb Nullable(Float64),
    ADD COLUMN IF NOT EXISTS estimated_memory_gb Nullable(Float64);

ALTER TABLE adapters
    ADD COLUMN IF NOT EXISTS peak_memory_gb Nullable(Float64),
    ADD COLUMN IF NOT EXISTS estimated_memory_gb Nullable(Float64);
