-- What waits for a person is read in pages, and what a person has put off stays put off.

ALTER TABLE candidates ADD COLUMN watched_same DOUBLE PRECISION;    -- somebody put the pair on watch at this score: a higher one ends it

-- Best first, a page at a time.
DROP INDEX IF EXISTS candidates_waiting;
CREATE INDEX candidates_queue ON candidates (band, same, a, b) WHERE state = 'open';

ALTER TABLE merge_requests ADD COLUMN declined BOOLEAN NOT NULL DEFAULT FALSE; -- closed by an admin, not by a merge
