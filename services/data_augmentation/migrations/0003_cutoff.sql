-- oldest code beside it: 0.2

ALTER TABLE datasets RENAME COLUMN IF EXISTS cut TO cutoff;
