-- The words of a run lie together: whether one of its events holds some is then a single look.
CREATE TABLE new_search_texts (
    run_id  TEXT NOT NULL,
    version INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    text    TEXT NOT NULL,
    PRIMARY KEY (run_id, version)
) WITHOUT ROWID;

INSERT INTO new_search_texts (run_id, version, number, text)
SELECT run_id, version, number, text FROM search_texts;
DROP TABLE search_texts;
ALTER TABLE new_search_texts RENAME TO search_texts;

CREATE UNIQUE INDEX search_texts_by_number ON search_texts (number);
