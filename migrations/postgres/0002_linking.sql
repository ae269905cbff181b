-- What linking leaves behind for a person, or for the customer, to decide.

CREATE TABLE conflicts (
    id UUID PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('address_reassigned')),
    customer UUID NOT NULL REFERENCES customers (id),        -- who came later
    other UUID NOT NULL REFERENCES customers (id),           -- who was there before
    detail JSONB NOT NULL,
    created_at BIGINT NOT NULL,
    closed_at BIGINT
);
CREATE INDEX conflicts_waiting ON conflicts (created_at) WHERE closed_at IS NULL;
