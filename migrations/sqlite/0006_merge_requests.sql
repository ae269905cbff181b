-- What customers ask for: two accounts, both proved to be theirs, are to become one.

CREATE TABLE merge_requests (
    id BLOB PRIMARY KEY NOT NULL,
    a BLOB NOT NULL REFERENCES customers (id),
    b BLOB NOT NULL REFERENCES customers (id),
    proofs TEXT NOT NULL,                                    -- of each side: which link, when and how it was proved
    opened_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
    closed_at INTEGER,
    CHECK (a < b),                                           -- the pair has no order
    CHECK ((state = 'closed') = (closed_at IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX merge_requests_open ON merge_requests (a, b) WHERE state = 'open';
CREATE INDEX merge_requests_waiting ON merge_requests (opened_at, id) WHERE state = 'open';
CREATE INDEX merge_requests_a ON merge_requests (a);
CREATE INDEX merge_requests_b ON merge_requests (b);
