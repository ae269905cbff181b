-- What providers tell us after a login, and what is still to be done outside the database.

-- A link that its provider speaks against stays live, so that its identifier stays taken, but does not log in.
ALTER TABLE links ADD COLUMN disabled_at INTEGER;
ALTER TABLE links ADD COLUMN disabled_reason TEXT CHECK ((disabled_reason IS NULL) = (disabled_at IS NULL));
ALTER TABLE links ADD COLUMN told_at INTEGER;             -- when the provider last spoke for or against it: later wins
ALTER TABLE links ADD COLUMN mail_stopped_at INTEGER;     -- an address to which nothing is sent

-- Customers an admin should look at.
CREATE TABLE flags (
    id BLOB PRIMARY KEY NOT NULL,
    customer BLOB NOT NULL REFERENCES customers (id),     -- the customer it was raised for: a merge never writes it
    link BLOB NOT NULL REFERENCES links (id),             -- the account the trouble is with
    kind TEXT NOT NULL,
    raised_at INTEGER NOT NULL,
    cleared_at INTEGER
) STRICT;
-- The same trouble told twice is one flag.
CREATE UNIQUE INDEX flags_open ON flags (link, kind) WHERE cleared_at IS NULL;
CREATE INDEX flags_customer ON flags (customer);

-- Work decided by a transaction and done after it: sealed, because some of it holds tokens.
CREATE TABLE tasks (
    id BLOB PRIMARY KEY NOT NULL,
    sealed BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_error TEXT
) STRICT;
CREATE INDEX tasks_next_attempt_at ON tasks (next_attempt_at);
