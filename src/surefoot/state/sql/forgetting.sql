-- Statements about forgetting runs, about events that no lease's holder writes, and about the keys' ring.

-- name: unheld
SELECT row, seq, hex(head), status, owner, pruned, forgotten, hex(data_key) FROM runs WHERE id = ?

-- The epoch is raised as by a claim: nobody who held the run before can still append. Nobody ever held one of epoch 0,
-- and it stays one that was never begun (the intake asks for that).
-- name: noted
UPDATE runs SET seq = ?, head = ?, signature = ?, updated = ?, epoch = epoch + (epoch > 0) WHERE row = ?

-- name: add_event
INSERT INTO events (run, seq, at, kind, version, view, sealed, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: take_mail
DELETE FROM mail WHERE run = ? AND id IN (SELECT value FROM json_each(?))

-- name: forget_mail
DELETE FROM mail WHERE run = ?

-- name: forget_run
UPDATE runs SET data_key = NULL, input_digest = '', key_view = NULL, due = NULL, forgotten = ?, trace = ?
WHERE row = ?

-- name: sign_pruned
UPDATE runs SET signature = ?, epoch = epoch + 1 WHERE row = ?

-- name: proved
UPDATE runs SET trace = NULL WHERE row = ? AND trace = ?

-- name: is_clean
SELECT clean FROM ring

-- name: set_clean
UPDATE ring SET clean = 1

-- name: to_rekey
SELECT row, id, seq, head, signature, data_key, pruned, forgotten FROM runs WHERE row > ? ORDER BY row LIMIT ?

-- name: rekey
UPDATE runs SET signature = ?, data_key = ? WHERE row = ?

-- name: announce
UPDATE ring SET generation = generation + 1, current = ?

-- name: ring
SELECT generation, current, retired FROM ring

-- name: retire
UPDATE ring SET generation = generation + 1, retired = ?

-- name: hangs
SELECT count(*) FROM runs WHERE substr(signature, 1, 4) = :key OR substr(data_key, 1, 4) = :key

-- name: workers_with
SELECT json_group_array(id) FROM workers WHERE master = ? AND until > ?
