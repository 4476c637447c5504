-- Statements about whether new runs are taken up.

-- name: intake_row
SELECT workflow, mode, mode_at, mode_by, mode_reason, breaker, trial_at, trial_pause, trial, day_until, day_unit,
  day_asked, day_cap
FROM intake WHERE workflow = ?

-- name: put_intake
INSERT OR REPLACE INTO intake (workflow, mode, mode_at, mode_by, mode_reason, breaker, trial_at, trial_pause, trial,
  day_until, day_unit, day_asked, day_cap)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: note_change
INSERT INTO intake_changes (workflow, at, what, by, reason) VALUES (?, ?, ?, ?, ?)

-- name: forget_changes
DELETE FROM intake_changes WHERE workflow = :workflow AND id <=
  (SELECT id FROM intake_changes WHERE workflow = :workflow ORDER BY id DESC LIMIT 1 OFFSET :keep)

-- name: try_run
UPDATE intake SET trial = ?, trial_at = ? WHERE workflow = ?

-- name: new_day
UPDATE intake SET day_until = 0 WHERE workflow = ?

-- name: intakes
SELECT workflow, mode, mode_at, mode_by, mode_reason, breaker, trial_at, trial_pause, trial, day_until, day_unit,
  day_asked, day_cap, (SELECT id FROM runs WHERE runs.row = intake.trial)
FROM intake WHERE :workflow IS NULL OR workflow = :workflow ORDER BY workflow

-- name: changes
SELECT workflow, at, what, by, reason FROM intake_changes
WHERE :workflow IS NULL OR workflow = :workflow ORDER BY id DESC LIMIT :limit

-- name: waiting_to_begin
SELECT workflow, count(*) FROM runs
WHERE owner IS NULL AND due IS NOT NULL AND epoch = 0 AND (:workflow IS NULL OR workflow = :workflow)
GROUP BY workflow

-- name: any_to_begin
SELECT EXISTS (SELECT 1 FROM runs WHERE owner IS NULL AND due IS NOT NULL AND epoch = 0 AND workflow = ?)

-- name: next_let_in
SELECT min(due) FROM runs WHERE owner IS NULL AND due IS NOT NULL AND (:workflow IS NULL OR workflow = :workflow)
  AND (epoch > 0 OR workflow NOT IN (SELECT value FROM json_each(:closed)))
