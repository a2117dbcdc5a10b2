-- oldest code beside it: 0.2

-- Who put it on record, and what that calls the model that answered. `adapter` is empty unless the gateway wrote it:
-- what apps claim is no evidence of an adapter. Rows of before say neither.
ALTER TABLE predictions ADD COLUMN IF NOT EXISTS written_by LowCardinality(String) AFTER group_id;
ALTER TABLE predictions ADD COLUMN IF NOT EXISTS said_model LowCardinality(String) AFTER written_by;
