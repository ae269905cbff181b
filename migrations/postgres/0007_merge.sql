-- Merging: what a merge knows beside its pointer, what waits for a second person, and what an erasure leaves.

-- An absorbed row says under whom it hangs, so that the tree of a customer is read with its rows.
ALTER TABLE customers ADD COLUMN absorbed_by UUID REFERENCES customers (id);
ALTER TABLE customers ADD COLUMN absorbed_seq BIGINT;              -- the survivor's event number of that merge
ALTER TABLE customers ADD COLUMN keys_joined BOOLEAN NOT NULL DEFAULT FALSE; -- its ways in open the survivor too
ALTER TABLE customers ADD COLUMN choices JSONB;                    -- the fields that somebody decided at that merge
ALTER TABLE customers ADD COLUMN sessions_from BIGINT;             -- logins before this time no longer count
ALTER TABLE customers ADD COLUMN legal_hold TEXT;                  -- why nothing of this customer may change
ALTER TABLE customers ADD COLUMN brand TEXT;                       -- whose customer, where brands are kept apart

ALTER TABLE subjects ADD COLUMN own_side BOOLEAN NOT NULL DEFAULT FALSE; -- issued to a side of a merge, for itself alone

ALTER TABLE audit ADD COLUMN digest BYTEA;                         -- kept where an erasure took the detail

ALTER TABLE merges ADD COLUMN kind TEXT NOT NULL DEFAULT 'profile' CHECK (kind IN ('full', 'profile'));
ALTER TABLE merges ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;       -- the survivor's event number
ALTER TABLE merges ADD COLUMN keys_joined_at BIGINT;
ALTER TABLE merges ADD COLUMN plan JSONB;                          -- as it was executed
ALTER TABLE merges ADD COLUMN plan_hash TEXT;
ALTER TABLE merges ADD COLUMN idempotency_key TEXT;
CREATE UNIQUE INDEX merges_idempotency_key ON merges (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX merges_absorbed ON merges (absorbed);

CREATE TABLE merge_proposals (
    id UUID PRIMARY KEY,
    survivor UUID NOT NULL REFERENCES customers (id),
    absorbed UUID NOT NULL REFERENCES customers (id),
    request JSONB NOT NULL,
    plan JSONB NOT NULL,
    plan_hash TEXT NOT NULL,
    approvals_needed BIGINT NOT NULL,
    proposed_by TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'executed', 'void', 'withdrawn')),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    closed_at BIGINT,
    merge UUID REFERENCES merges (id),
    CHECK ((state = 'open') = (closed_at IS NULL))
);
CREATE INDEX merge_proposals_open ON merge_proposals (created_at) WHERE state = 'open';

-- Two approvals by one person are one.
CREATE TABLE merge_approvals (
    proposal UUID NOT NULL REFERENCES merge_proposals (id),
    approver TEXT NOT NULL,
    approved_at BIGINT NOT NULL,
    PRIMARY KEY (proposal, approver)
);

-- The kinds of cases grow; the program knows them.
ALTER TABLE conflicts DROP CONSTRAINT conflicts_kind_check;
