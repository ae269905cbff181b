-- What customers ask for: two accounts, both proved to be theirs, are to become one.

CREATE TABLE merge_requests (
    id UUID PRIMARY KEY,
    a UUID NOT NULL REFERENCES customers (id),
    b UUID NOT NULL REFERENCES customers (id),
    proofs JSONB NOT NULL,                                   -- of each side: which link, when and how it was proved
    opened_at BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
    closed_at BIGINT,
    CHECK (a < b),                                           -- the pair has no order
    CHECK ((state = 'closed') = (closed_at IS NOT NULL))
);
CREATE UNIQUE INDEX merge_requests_open ON merge_requests (a, b) WHERE state = 'open';
CREATE INDEX merge_requests_waiting ON merge_requests (opened_at, id) WHERE state = 'open';
CREATE INDEX merge_requests_a ON merge_requests (a);
CREATE INDEX merge_requests_b ON merge_requests (b);
