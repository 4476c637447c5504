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
SELECT id, workflow, version, fingerprint, key, status, created, updated, due, owner, epoch, claims, seq, head,
  signature, summary, data_key, pruned, (SELECT count(*) FROM mail WHERE mail.run = runs.row)
FROM runs {where}

-- name: items
SELECT items.id, runs.id, items.kind, items.queue, items.status, items.view, items.opened, items.expires,
  items.decided, items.decided_by, items.decision
FROM items JOIN runs ON runs.row = items.run {where}

-- name: workers
SELECT id, host, pid, started, until, (SELECT count(*) FROM runs WHERE runs.owner = workers.id)
FROM workers ORDER BY started, id

-- name: day
SELECT nanousd, tokens FROM days WHERE workflow = ? AND day = ?

-- name: definition
SELECT definition FROM definitions WHERE fingerprint = ?

-- name: counts
SELECT status, count(*) FROM runs GROUP BY status

-- name: kinds
SELECT code, name FROM kinds
