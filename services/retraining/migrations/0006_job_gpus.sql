-- oldest code beside it: 0.2

-- Which GPUs of its owner's host a job has while its lease lasts.
ALTER TABLE retraining_jobs ADD COLUMN IF NOT EXISTS gpus Array(String);
