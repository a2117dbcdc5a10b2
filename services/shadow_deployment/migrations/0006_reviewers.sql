-- oldest code beside it: 0.2

-- How many reviewers agreed on the right answer: of those of before, at least one.
ALTER TABLE shadow_right_answers ADD COLUMN IF NOT EXISTS reviewers UInt16 DEFAULT 1;
