-- Who is let in: whether new runs of a workflow are taken up, and why not; and what a day's ledger tells people.

-- One row for each workflow whose intake was ever anything but open.
CREATE TABLE intake (
  workflow TEXT PRIMARY KEY,
  mode TEXT NOT NULL,                  -- what a person said: open, paused (new runs queue), refused (none is accepted)
  mode_at INTEGER NOT NULL,
  mode_by TEXT NOT NULL,
  mode_reason TEXT NOT NULL,
  breaker TEXT NOT NULL,               -- JSON of what the breaker counts
  trial_at INTEGER,                    -- the breaker is open: one run may be tried from then on
  trial_pause INTEGER NOT NULL,        -- and this long after it another one, where that one says nothing
  trial INTEGER,                       -- the run that is being tried
  day_until INTEGER NOT NULL,          -- the day's budget is gone until then
  day_unit TEXT NOT NULL,
  day_asked INTEGER NOT NULL,          -- what did not fit
  day_cap INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was changed, when, by whom and why; the newest ones of each workflow are kept.
CREATE TABLE intake_changes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  workflow TEXT NOT NULL,
  at INTEGER NOT NULL,
  what TEXT NOT NULL,
  by TEXT NOT NULL,
  reason TEXT NOT NULL
) STRICT;

CREATE INDEX intake_changes_of ON intake_changes (workflow, id);

-- Runs that were taken up before: they go on while the intake is closed.
CREATE INDEX runs_begun ON runs (due) WHERE owner IS NULL AND due IS NOT NULL AND epoch > 0;

-- Of what is charged to a day, what is known to be spent; the caps of the last charge; 1 and 2: somebody was
-- warned of its money, of its tokens.
ALTER TABLE days ADD COLUMN settled_nanousd INTEGER NOT NULL DEFAULT 0;
ALTER TABLE days ADD COLUMN settled_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE days ADD COLUMN cap_nanousd INTEGER;
ALTER TABLE days ADD COLUMN cap_tokens INTEGER;
ALTER TABLE days ADD COLUMN warned INTEGER NOT NULL DEFAULT 0;
