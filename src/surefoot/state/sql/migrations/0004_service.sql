-- What the service needs: who may ask, and whom to tell.

-- Of a token only a digest is kept, keyed, and over what the row says of it: whoever can write here can neither make
-- one nor widen one. A revoked one stays, so that old entries still say whose it was.
CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  person TEXT NOT NULL,
  scopes TEXT NOT NULL,                -- JSON list
  digest TEXT NOT NULL,
  note TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER,
  revoked INTEGER,
  used INTEGER                         -- about when last, to the minute
) STRICT, WITHOUT ROWID;

-- Logins to the console: a session is what its token is, and ends with it.
CREATE TABLE sessions (
  digest TEXT PRIMARY KEY,
  token TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  used INTEGER                         -- about when last, to the minute
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_token ON sessions (token);

-- Where to tell of what happens; `types` is a JSON list of the kinds that are wanted.
CREATE TABLE endpoints (
  id TEXT PRIMARY KEY,
  url TEXT NOT NULL,
  types TEXT NOT NULL,
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The outbox: what is to be told to whom, written by the triggers below in the transaction in which it happened.
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  endpoint TEXT NOT NULL,
  type TEXT NOT NULL,
  run INTEGER NOT NULL,
  item TEXT,
  at INTEGER NOT NULL,
  status TEXT NOT NULL,                -- waiting, sent, failed, dropped
  attempts INTEGER NOT NULL,
  due INTEGER NOT NULL,
  answer TEXT NOT NULL                 -- what came back the last time, in a few words
) STRICT;

CREATE INDEX deliveries_due ON deliveries (endpoint, due) WHERE status = 'waiting';

CREATE TRIGGER tell_of_an_item AFTER INSERT ON items WHEN EXISTS (SELECT 1 FROM endpoints) BEGIN
  INSERT INTO deliveries (endpoint, type, run, item, at, status, attempts, due, answer)
  SELECT endpoints.id, 'item.opened', NEW.run, NEW.id, NEW.opened, 'waiting', 0, 0, '' FROM endpoints
  WHERE EXISTS (SELECT 1 FROM json_each(endpoints.types) WHERE value = 'item.opened');
END;

CREATE TRIGGER tell_of_an_end AFTER UPDATE OF status ON items
WHEN NEW.status <> OLD.status AND EXISTS (SELECT 1 FROM endpoints) BEGIN
  INSERT INTO deliveries (endpoint, type, run, item, at, status, attempts, due, answer)
  SELECT endpoints.id, 'item.' || NEW.status, NEW.run, NEW.id, coalesce(NEW.decided, NEW.opened), 'waiting', 0, 0, ''
  FROM endpoints WHERE EXISTS (SELECT 1 FROM json_each(endpoints.types) WHERE value = 'item.' || NEW.status);
END;

CREATE TRIGGER tell_of_a_run AFTER UPDATE OF status ON runs
WHEN NEW.status <> OLD.status AND NEW.status IN ('succeeded', 'failed', 'cancelled')
  AND EXISTS (SELECT 1 FROM endpoints) BEGIN
  INSERT INTO deliveries (endpoint, type, run, item, at, status, attempts, due, answer)
  SELECT endpoints.id, 'run.' || NEW.status, NEW.row, NULL, NEW.updated, 'waiting', 0, 0, '' FROM endpoints
  WHERE EXISTS (SELECT 1 FROM json_each(endpoints.types) WHERE value = 'run.' || NEW.status);
END;

-- The inbox with all that was ever in it, page by page.
CREATE INDEX items_opened ON items (opened);

-- Runs that nobody has taken up yet: how many, and since when. Those that are born held never come in here.
CREATE INDEX runs_new ON runs (created) WHERE owner IS NULL AND due IS NOT NULL AND epoch = 0;
