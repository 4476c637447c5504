-- Statements that grow journals. {values} becomes as many rows of bound parameters as the batch needs,
-- rounded up to one of few sizes; the rows too many are NULLs, which match and insert nothing.

-- name: append_events
INSERT INTO events (run, seq, at, kind, version, view, sealed, hash)
SELECT * FROM (VALUES {values}) WHERE column1 IS NOT NULL

-- The fence: a row that is not held by this worker, at this epoch, at this end of the chain is not changed; and none
-- where the store's key ring has moved on from what this process knows of it (decision 0033).
-- name: move_heads
UPDATE runs SET
  seq = v.column4, head = v.column5, signature = v.column6, updated = v.column7,
  claims = CASE WHEN v.column8 THEN 0 ELSE claims END
FROM (VALUES {values}) AS v
WHERE runs.row = v.column1 AND runs.epoch = v.column2 AND runs.seq = v.column3 AND runs.owner = ?
  AND (SELECT generation FROM ring) = ?

-- A run that is queued again was given back in good order: that claim does not count.
-- name: change_runs
UPDATE runs SET
  seq = v.column4, head = v.column5, signature = v.column6, updated = v.column7,
  claims = CASE
    WHEN v.column8 THEN 0
    WHEN v.column13 AND v.column9 = 'queued' THEN max(claims - 1, 0)
    ELSE claims
  END,
  status = coalesce(v.column9, status),
  ended = CASE
    WHEN v.column9 IN ('succeeded', 'failed', 'cancelled') THEN v.column7
    WHEN v.column9 IS NULL THEN ended
  END,
  summary = coalesce(v.column10, summary),
  version = coalesce(v.column11, version),
  fingerprint = coalesce(v.column12, fingerprint),
  owner = CASE WHEN v.column13 THEN NULL ELSE owner END,
  due = CASE
    WHEN v.column13 AND EXISTS (SELECT 1 FROM mail WHERE mail.run = runs.row) THEN v.column7
    WHEN v.column13 THEN v.column14
    ELSE coalesce(v.column14, due)
  END
FROM (VALUES {values}) AS v
WHERE runs.row = v.column1 AND runs.epoch = v.column2 AND runs.seq = v.column3 AND runs.owner = ?
  AND (SELECT generation FROM ring) = ?

-- name: fence
SELECT row FROM runs
WHERE owner = ? AND (row, epoch, seq) IN
  (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?))

-- name: last_row
SELECT coalesce(max(row), 0), (
  SELECT json_group_array(json_array(workflow, mode)) FROM intake
  WHERE mode <> 'open' OR trial_at IS NOT NULL OR day_until > ?
) FROM runs

-- name: submit_runs
INSERT INTO runs (row, id, workflow, version, fingerprint, key, input_digest, created, updated, owner, epoch, claims,
                  due, seq, head, signature, summary, data_key, key_view, status)
SELECT *, 'queued' FROM (VALUES {values}) WHERE column1 IS NOT NULL AND (SELECT generation FROM ring) = ?
ON CONFLICT DO NOTHING

-- name: submitted
SELECT row FROM runs WHERE row > ?

-- name: same_key
SELECT id, input_digest, forgotten FROM runs WHERE workflow = ? AND key = ?

-- name: generation
SELECT generation, retired FROM ring

-- name: kinds
SELECT code, name FROM kinds

-- name: add_kind
INSERT INTO kinds (name) VALUES (?)

-- name: take_mail
DELETE FROM mail WHERE id IN (SELECT value FROM json_each(?))

-- name: items_of
SELECT json_group_array(json_array(id, run, status, decided_by))
FROM items WHERE id IN (SELECT value FROM json_each(?))

-- name: open_items
INSERT INTO items (id, run, kind, queue, status, view, opened, expires)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, 'open', value ->> 4, value ->> 5, value ->> 6
FROM json_each(?)

-- name: close_item
UPDATE items SET status = ? WHERE id = ? AND status = 'open'

-- name: day
SELECT nanousd, tokens, settled_nanousd, settled_tokens, cap_nanousd, cap_tokens, warned
FROM days WHERE workflow = ? AND day = ?

-- name: charge_day
INSERT OR REPLACE INTO days (workflow, day, nanousd, tokens, settled_nanousd, settled_tokens, cap_nanousd, cap_tokens,
  warned)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: define
INSERT INTO definitions (fingerprint, definition) VALUES (?, ?) ON CONFLICT DO NOTHING
