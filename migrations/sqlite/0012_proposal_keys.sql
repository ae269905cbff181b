-- A proposal that is made again after a lost reply is the one that is there.

ALTER TABLE merge_proposals ADD COLUMN idempotency_key TEXT;
CREATE UNIQUE INDEX merge_proposals_idempotency_key ON merge_proposals (idempotency_key)
    WHERE idempotency_key IS NOT NULL;
