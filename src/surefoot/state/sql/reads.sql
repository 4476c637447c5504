-- Statements that only read.

-- name: mail
SELECT mail.id, runs.id, mail.kind, mail.at, mail.body, mail.sealed
FROM mail JOIN runs ON runs.row = mail.run WHERE runs.id = ? ORDER BY mail.id

-- From the mail to the runs (CROSS JOIN keeps that order): mailboxes are mostly empty, and this is asked often.
-- name: pending_mail
SELECT DISTINCT runs.id FROM mail CROSS JOIN runs ON runs.row = mail.run WHERE runs.owner = ?

-- name: suspects
SELECT id FROM runs WHERE owner IS NULL AND due <= :now AND claims = :most
  AND (:workflow IS NULL OR workflow = :workflow) ORDER BY due

-- name: next_due
SELECT min(due) FROM runs WHERE owner IS NULL AND due IS NOT NULL AND (:workflow IS NULL OR workflow = :workflow)

-- name: journals
SELECT runs.id, e.seq, e.at, e.kind, e.version, e.view, e.sealed, e.hash
FROM runs JOIN events AS e ON e.run = runs.row
WHERE runs.id IN (SELECT value FROM json_each(?)) ORDER BY e.run, e.seq

-- name: events
SELECT runs.id, e.seq, e.at, e.kind, e.version, e.view, e.sealed, e.hash
FROM runs JOIN events AS e ON e.run = runs.row
WHERE runs.id = ? AND e.seq > ? ORDER BY e.seq LIMIT ?

-- {where} and {order} are one of a few fixed texts of the reader, never values.
-- name: runs
SELECT id, workflow, version, fingerprint, key_view, status, created, updated, due, owner, epoch, claims, seq, head,
  signature, summary, data_key, pruned, (SELECT count(*) FROM mail WHERE mail.run = runs.row), forgotten, key,
  input_digest, ended
FROM runs {where}

-- name: items
SELECT items.id, runs.id, items.kind, items.queue, items.status, items.view, items.opened, items.expires,
  items.decided, items.decided_by, items.decision
FROM items JOIN runs ON runs.row = items.run {where}

-- name: workers
SELECT id, host, pid, started, until, (SELECT count(*) FROM runs WHERE runs.owner = workers.id), master
FROM workers ORDER BY started, id

-- name: day
SELECT workflow, day, nanousd, tokens, settled_nanousd, settled_tokens, cap_nanousd, cap_tokens, warned
FROM days WHERE workflow = ? AND day = ?

-- name: definition
SELECT definition FROM definitions WHERE fingerprint = ?

-- name: counts
SELECT status, count(*) FROM runs GROUP BY status

-- name: ring
SELECT generation, current, retired FROM ring

-- name: traces
SELECT row, id, trace FROM runs WHERE trace IS NOT NULL

-- A run hangs on the key that wraps its data key, and on the one that signed its head.
-- name: key_uses
SELECT key, count(DISTINCT row) FROM (
  SELECT row, lower(hex(substr(signature, 1, 4))) AS key FROM runs
  UNION ALL SELECT row, lower(hex(substr(data_key, 1, 4))) FROM runs WHERE length(data_key) >= 4
) GROUP BY key

-- name: worker_keys
SELECT id, master, until FROM workers ORDER BY id

-- name: days
SELECT workflow, day, nanousd, tokens, settled_nanousd, settled_tokens, cap_nanousd, cap_tokens, warned
FROM days ORDER BY workflow, day

-- name: definitions
SELECT fingerprint, definition FROM definitions ORDER BY fingerprint

-- Rows that name a run which is not there.
-- name: strays
SELECT 'events', run || '/' || min(seq), run FROM events WHERE run NOT IN (SELECT row FROM runs) GROUP BY run
UNION ALL SELECT 'mail', CAST(id AS TEXT), run FROM mail WHERE run NOT IN (SELECT row FROM runs)
UNION ALL SELECT 'items', id, run FROM items WHERE run NOT IN (SELECT row FROM runs)
UNION ALL SELECT 'deliveries', CAST(id AS TEXT), run FROM deliveries WHERE run NOT IN (SELECT row FROM runs)
UNION ALL SELECT 'doubts', worker, run FROM doubts WHERE run NOT IN (SELECT row FROM runs)

-- name: kinds
SELECT code, name FROM kinds

-- name: queue
SELECT count(*), min(created) FROM runs INDEXED BY runs_new
WHERE owner IS NULL AND due IS NOT NULL AND epoch = 0 AND (:workflow IS NULL OR workflow = :workflow)

-- name: open_items
SELECT kind, queue, count(*), min(opened) FROM items WHERE status = 'open' GROUP BY kind, queue ORDER BY kind, queue
