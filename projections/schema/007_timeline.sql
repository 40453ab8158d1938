-- Rows of the same moment come in the order in which they were written, by rowid: the index need
-- not hold their run.
DROP INDEX timeline_by_workflow;
CREATE INDEX timeline_by_workflow ON timeline (workflow_id, occurred_ms);
