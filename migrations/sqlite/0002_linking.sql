-- What linking leaves behind for a person, or for the customer, to decide.

CREATE TABLE conflicts (
    id BLOB PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('address_reassigned')),
    customer BLOB NOT NULL REFERENCES customers (id),        -- who came later
    other BLOB NOT NULL REFERENCES customers (id),           -- who was there before
    detail TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    closed_at INTEGER
) STRICT;
CREATE INDEX conflicts_waiting ON conflicts (created_at) WHERE closed_at IS NULL;
