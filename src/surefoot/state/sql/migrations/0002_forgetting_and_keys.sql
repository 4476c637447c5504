-- The idempotency key of a run is kept as a keyed digest from here on (the step beside this file rewrites the old
-- ones), with a redacted view of it for lists. A run can be forgotten, and master keys can be rotated.

ALTER TABLE runs ADD COLUMN key_view TEXT;

-- When its data key was deleted, on purpose.
ALTER TABLE runs ADD COLUMN forgotten INTEGER;

-- Of a forgotten run: a hash of the deleted key, until it is proved that no file holds that key any more.
ALTER TABLE runs ADD COLUMN trace BLOB;

-- The id of the master key that a worker signs with.
ALTER TABLE workers ADD COLUMN master TEXT;

-- What all processes must know of the key ring. Every transaction that signs names the generation that it knows of.
-- `clean`: no version of Surefoot that leaves deleted bytes in the file has written here (else it is rebuilt when
-- the first run is forgotten).
CREATE TABLE ring (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  generation INTEGER NOT NULL,
  current TEXT NOT NULL,
  retired TEXT NOT NULL,
  clean INTEGER NOT NULL
) STRICT;

INSERT INTO ring (one, generation, current, retired, clean)
SELECT 1, 0, '', '[]', NOT EXISTS (SELECT 1 FROM runs);
