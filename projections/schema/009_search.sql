-- Searching is fed after the rows of the timeline, in batches of its own. search_queue names, in
-- order, what is still to come: JSON of [run_id, first version, last version].
CREATE TABLE search_queue (
    number INTEGER PRIMARY KEY,
    ranges TEXT NOT NULL
);

-- The words of an event: folded, each after a space. The full-text index beside it, search_index,
-- is made where SQLite has FTS5.
CREATE TABLE search_texts (
    number  INTEGER PRIMARY KEY,
    run_id  TEXT NOT NULL,
    version INTEGER NOT NULL,
    text    TEXT NOT NULL
);

CREATE UNIQUE INDEX search_texts_by_run ON search_texts (run_id, version);

INSERT INTO search_queue (ranges)
SELECT json_group_array(json_array(run_id, first, last))
FROM (SELECT run_id, min(version) AS first, max(version) AS last FROM timeline GROUP BY run_id)
HAVING count(*) > 0;
