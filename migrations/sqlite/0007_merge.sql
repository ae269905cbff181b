-- Merging: what a merge knows beside its pointer, what waits for a second person, and what an erasure leaves.

-- An absorbed row says under whom it hangs, so that the tree of a customer is read with its rows.
ALTER TABLE customers ADD COLUMN absorbed_by BLOB REFERENCES customers (id);
ALTER TABLE customers ADD COLUMN absorbed_seq INTEGER;             -- the survivor's event number of that merge
ALTER TABLE customers ADD COLUMN keys_joined INTEGER NOT NULL DEFAULT FALSE; -- its ways in open the survivor too
ALTER TABLE customers ADD COLUMN choices TEXT;                     -- the fields that somebody decided at that merge
ALTER TABLE customers ADD COLUMN sessions_from INTEGER;            -- logins before this time no longer count
ALTER TABLE customers ADD COLUMN legal_hold TEXT;                  -- why nothing of this customer may change
ALTER TABLE customers ADD COLUMN brand TEXT;                       -- whose customer, where brands are kept apart

ALTER TABLE subjects ADD COLUMN own_side INTEGER NOT NULL DEFAULT FALSE; -- issued to a side of a merge, for itself alone

ALTER TABLE audit ADD COLUMN digest BLOB;                          -- kept where an erasure took the detail

ALTER TABLE merges ADD COLUMN kind TEXT NOT NULL DEFAULT 'profile' CHECK (kind IN ('full', 'profile'));
ALTER TABLE merges ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;      -- the survivor's event number
ALTER TABLE merges ADD COLUMN keys_joined_at INTEGER;
ALTER TABLE merges ADD COLUMN plan TEXT;                           -- as it was executed
ALTER TABLE merges ADD COLUMN plan_hash TEXT;
ALTER TABLE merges ADD COLUMN idempotency_key TEXT;
CREATE UNIQUE INDEX merges_idempotency_key ON merges (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX merges_absorbed ON merges (absorbed);

CREATE TABLE merge_proposals (
    id BLOB PRIMARY KEY NOT NULL,
    survivor BLOB NOT NULL REFERENCES customers (id),
    absorbed BLOB NOT NULL REFERENCES customers (id),
    request TEXT NOT NULL,
    plan TEXT NOT NULL,
    plan_hash TEXT NOT NULL,
    approvals_needed INTEGER NOT NULL,
    proposed_by TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'executed', 'void', 'withdrawn')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    closed_at INTEGER,
    merge BLOB REFERENCES merges (id),
    CHECK ((state = 'open') = (closed_at IS NULL))
) STRICT;
CREATE INDEX merge_proposals_open ON merge_proposals (created_at) WHERE state = 'open';

-- Two approvals by one person are one.
CREATE TABLE merge_approvals (
    proposal BLOB NOT NULL REFERENCES merge_proposals (id),
    approver TEXT NOT NULL,
    approved_at INTEGER NOT NULL,
    PRIMARY KEY (proposal, approver)
) STRICT;

-- The kinds of cases grow; the program knows them. SQLite cannot drop a check: the table is made anew.
ALTER TABLE conflicts RENAME TO conflicts_before_0007;
DROP INDEX conflicts_waiting;
CREATE TABLE conflicts (
    id BLOB PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    customer BLOB NOT NULL REFERENCES customers (id),        -- who came later
    other BLOB NOT NULL REFERENCES customers (id),           -- who was there before
    detail TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    closed_at INTEGER
) STRICT;
INSERT INTO conflicts (id, kind, customer, other, detail, created_at, closed_at)
SELECT id, kind, customer, other, detail, created_at, closed_at FROM conflicts_before_0007;
DROP TABLE conflicts_before_0007;
CREATE INDEX conflicts_waiting ON conflicts (created_at) WHERE closed_at IS NULL;
