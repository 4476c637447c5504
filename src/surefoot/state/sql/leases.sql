-- Statements about who holds what, and about saying something to a run.

-- name: beat
INSERT INTO workers (id, host, pid, started, until, master) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET until = max(until, excluded.until), master = excluded.master

-- name: register
INSERT INTO workers (id, host, pid, started, until, master) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET host = excluded.host, pid = excluded.pid, started = excluded.started,
  until = excluded.until, master = excluded.master

-- name: other_workers
SELECT json_group_array(json_array(id, until)) FROM workers WHERE id <> ?

-- name: holds_any
SELECT EXISTS (SELECT 1 FROM runs WHERE owner = ?)

-- name: doubt_runs_of
INSERT INTO doubts (run, worker) SELECT row, owner FROM runs WHERE owner = ? ON CONFLICT DO NOTHING

-- name: end_doubts
DELETE FROM doubts WHERE worker = ?

-- name: free_runs_of
UPDATE runs SET owner = NULL, due = CASE
  WHEN status NOT IN ('succeeded', 'failed', 'cancelled')
    OR EXISTS (SELECT 1 FROM mail WHERE mail.run = runs.row) THEN :now
  END
WHERE owner = :worker

-- name: retire_runs_of
UPDATE runs SET owner = NULL, claims = max(claims - 1, 0), due = CASE
  WHEN status NOT IN ('succeeded', 'failed', 'cancelled')
    OR EXISTS (SELECT 1 FROM mail WHERE mail.run = runs.row) THEN :now
  END
WHERE owner = :worker

-- name: remove_worker
DELETE FROM workers WHERE id = ?

-- With them the intakes that are closed, or have just opened: where there is one, the gate is put in and it is asked
-- again.
-- name: due_runs
SELECT json_group_array(json_array(row, id, epoch, seq, claims, hex(head), hex(data_key), fingerprint, version,
  workflow, EXISTS (SELECT 1 FROM doubts WHERE doubts.run = r.row))),
  (SELECT json_group_array(json_array(workflow, mode, trial_at, trial_pause, day_until, trial IS NOT NULL,
     (SELECT owner IS NOT NULL OR due <= :now FROM runs WHERE runs.row = trial)))
   FROM intake WHERE (:workflow IS NULL OR workflow = :workflow)
     AND (mode <> 'open' OR trial_at IS NOT NULL OR day_until > 0))
FROM (SELECT * FROM runs WHERE owner IS NULL AND due <= :now
  AND (:workflow IS NULL OR workflow = :workflow) AND (:most IS NULL OR claims <> :most) /* gate */
  ORDER BY due LIMIT :limit) AS r

-- name: due_run
SELECT json_group_array(json_array(row, id, epoch, seq, claims, hex(head), hex(data_key), fingerprint, version,
  workflow, EXISTS (SELECT 1 FROM doubts WHERE doubts.run = r.row)))
FROM runs AS r
WHERE id = :run AND owner IS NULL
  AND (due <= :now OR EXISTS (SELECT 1 FROM mail WHERE mail.run = r.row))

-- name: claim_runs
UPDATE runs SET owner = ?, epoch = epoch + 1, claims = claims + 1, due = NULL
WHERE row IN (SELECT value FROM json_each(?))

-- name: forget_claims
UPDATE runs SET claims = 0 WHERE id = ?

-- name: run_to_tell
SELECT row, owner, forgotten FROM runs WHERE id = ?

-- name: post
INSERT INTO mail (run, kind, at, body, sealed) VALUES (?, ?, ?, ?, ?)

-- name: make_due
UPDATE runs SET due = min(coalesce(due, :now), :now) WHERE row = :row AND owner IS NULL

-- name: item_to_decide
SELECT items.run, runs.id, runs.owner, items.status, items.expires, items.decided_by
FROM items JOIN runs ON runs.row = items.run WHERE items.id = ?

-- name: decide
UPDATE items SET status = 'decided', decided = ?, decided_by = ?, decision = ? WHERE id = ? AND status = 'open'

-- name: prunable
SELECT json_group_array(json_array(row, id, seq, hex(head), forgotten))
FROM (SELECT row, id, seq, head, forgotten FROM runs
      WHERE ended IS NOT NULL AND pruned = 0 AND ended < :before AND owner IS NULL
        AND NOT EXISTS (SELECT 1 FROM mail WHERE mail.run = runs.row)
      ORDER BY ended LIMIT :limit)

-- name: prune_events
DELETE FROM events WHERE run IN (SELECT value FROM json_each(?))

-- name: prune_items
DELETE FROM items WHERE run IN (SELECT value FROM json_each(?))

-- name: prune_doubts
DELETE FROM doubts WHERE run IN (SELECT value FROM json_each(?))

-- name: mark_pruned
UPDATE runs SET pruned = 1, signature = ? WHERE row = ?
