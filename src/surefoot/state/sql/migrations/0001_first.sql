-- The first schema. All times are microseconds since the epoch (UTC), money is nano-dollars.

CREATE TABLE kinds (
  code INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

-- The catalogue at the time of this migration; a kind that is not here gets the next free code when first appended.
INSERT INTO kinds (code, name) VALUES
  (1, 'run.submitted'), (2, 'run.claimed'), (3, 'run.finished'), (4, 'run.cancelling'), (5, 'run.retried'),
  (6, 'step.started'), (7, 'step.finished'), (8, 'step.failed'),
  (9, 'call.refused'), (10, 'call.intended'), (11, 'call.returned'), (12, 'call.failed'), (13, 'call.unknown'),
  (14, 'call.settled'),
  (15, 'ask.reserved'), (16, 'ask.answered'), (17, 'ask.rejected'), (18, 'ask.failed'), (19, 'ask.repaired'),
  (20, 'approval.requested'), (21, 'approval.decided'), (22, 'approval.expired'),
  (23, 'private.revealed'), (24, 'timer.set'), (25, 'timer.fired'), (26, 'value.drawn'),
  (27, 'review.opened'), (28, 'review.resolved');

-- One row per run: where its chain ends, who holds it, and what lists show of it.
CREATE TABLE runs (
  row INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  claims INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  head BLOB NOT NULL,
  signature BLOB NOT NULL,
  owner TEXT,                          -- worker that holds the lease
  due INTEGER,                         -- claimable from then on, while nobody holds it
  status TEXT NOT NULL,
  id TEXT NOT NULL UNIQUE,
  workflow TEXT NOT NULL,
  version TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  key TEXT,
  input_digest TEXT NOT NULL,
  created INTEGER NOT NULL,
  ended INTEGER,
  pruned INTEGER NOT NULL DEFAULT 0,
  summary TEXT NOT NULL,
  data_key BLOB
) STRICT;

CREATE UNIQUE INDEX runs_key ON runs (workflow, key) WHERE key IS NOT NULL;
CREATE INDEX runs_due ON runs (due) WHERE owner IS NULL AND due IS NOT NULL;
CREATE INDEX runs_owner ON runs (owner) WHERE owner IS NOT NULL;
CREATE INDEX runs_status ON runs (status);
CREATE INDEX runs_ended ON runs (ended) WHERE ended IS NOT NULL AND pruned = 0;

-- In the order of arrival, so that a commit of many runs touches few pages: clustering by run was measured
-- at 2.5 times the cost per event (decision 0011).
CREATE TABLE events (
  run INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  version INTEGER NOT NULL,
  view TEXT NOT NULL,
  sealed BLOB,
  hash BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX events_place ON events (run, seq);

-- Whoever does not hold a run says something to it here. Ids are never used again.
CREATE TABLE mail (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run INTEGER NOT NULL,
  kind TEXT NOT NULL,
  at INTEGER NOT NULL,
  body TEXT NOT NULL,
  sealed BLOB
) STRICT;

CREATE INDEX mail_run ON mail (run);

CREATE TABLE items (
  id TEXT PRIMARY KEY,
  run INTEGER NOT NULL,
  kind TEXT NOT NULL,
  queue TEXT NOT NULL,
  status TEXT NOT NULL,
  view TEXT NOT NULL,
  opened INTEGER NOT NULL,
  expires INTEGER,
  decided INTEGER,
  decided_by TEXT,
  decision TEXT
) STRICT;

CREATE INDEX items_status ON items (status, opened);
CREATE INDEX items_run ON items (run);

CREATE TABLE workers (
  id TEXT PRIMARY KEY,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  started INTEGER NOT NULL,
  until INTEGER NOT NULL
) STRICT;

-- This run was taken from this worker when it was only believed dead; gone once its death is proved.
CREATE TABLE doubts (
  run INTEGER NOT NULL,
  worker TEXT NOT NULL,
  PRIMARY KEY (run, worker)
) STRICT, WITHOUT ROWID;

CREATE INDEX doubts_worker ON doubts (worker);

CREATE TABLE days (
  workflow TEXT NOT NULL,
  day TEXT NOT NULL,
  nanousd INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  PRIMARY KEY (workflow, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE definitions (
  fingerprint TEXT PRIMARY KEY,
  definition TEXT NOT NULL
) STRICT;
