-- oldest code beside it: 0.2

-- Version 0.1 called a job whose events are published "said".
ALTER TABLE failure_clustering_jobs UPDATE state = 'published' WHERE state = 'said' SETTINGS mutations_sync = 2;
