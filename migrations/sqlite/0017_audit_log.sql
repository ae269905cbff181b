-- The audit log by whom and by what was done, without those entries that say no more than that an admin looked.

CREATE INDEX audit_deeds_at ON audit (at, chain, seq) WHERE action <> 'admin.looked';
CREATE INDEX audit_actor ON audit (actor, at, chain, seq);
CREATE INDEX audit_deeds_actor ON audit (actor, at, chain, seq) WHERE action <> 'admin.looked';
CREATE INDEX audit_action ON audit (action, at, chain, seq);

-- Proposals whose time is over.
CREATE INDEX merge_proposals_lapsing ON merge_proposals (expires_at) WHERE state = 'open';
