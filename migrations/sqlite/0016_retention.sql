-- Events that nobody needs any more are removed, where somebody has said for how long they are kept.

CREATE TABLE outbox_retention (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    removed INTEGER NOT NULL,                                -- all up to this number are gone, but for those put aside
    removed_at INTEGER,
    lease_holder BLOB,
    lease_until INTEGER NOT NULL
) STRICT;
INSERT INTO outbox_retention (id, removed, lease_until) VALUES (1, 0, 0);

-- What was put aside is kept as long as somebody may have it delivered.
CREATE INDEX webhook_dead_letters_sequence ON webhook_dead_letters (sequence);
