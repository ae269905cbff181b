-- Of each kind of key, how many customers may share one that is followed: as large as the blocks of the last scan.
ALTER TABLE duplicate_follower ADD COLUMN caps TEXT;          -- NULL before the first scan
