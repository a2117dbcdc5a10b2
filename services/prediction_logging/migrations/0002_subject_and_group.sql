-- oldest code beside it: 0.1

-- Whom an event is about, as an opaque id, and the document or thread it belongs to; '' where it does not say.
ALTER TABLE predictions ADD COLUMN IF NOT EXISTS subject_id String AFTER attributes;
ALTER TABLE predictions ADD COLUMN IF NOT EXISTS group_id String AFTER subject_id;
ALTER TABLE feedback ADD COLUMN IF NOT EXISTS subject_id String AFTER comment;
ALTER TABLE feedback ADD COLUMN IF NOT EXISTS group_id String AFTER subject_id;
