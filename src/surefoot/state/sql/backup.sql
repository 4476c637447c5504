-- Statements about a copy of a store, and about a store that was put back from one.

-- name: counts
SELECT count(*), coalesce(sum(ended IS NULL), 0) FROM runs

-- Whoever worked on the store when it was copied does not work on this one.
-- name: no_workers
DELETE FROM workers

-- name: no_doubts
DELETE FROM doubts

-- name: no_sessions
DELETE FROM sessions

-- name: no_owners
UPDATE runs SET owner = NULL, due = CASE WHEN status NOT IN ('succeeded', 'failed', 'cancelled') THEN :now END
WHERE owner IS NOT NULL

-- Begun, and not ended or about to be taken up again. Mail that lay there before is read before it, and changes nothing:
-- all of it is read before anything is done.
-- name: hold
INSERT INTO mail (run, kind, at, body)
SELECT row, 'restored', :now, :body FROM runs
WHERE epoch > 0 AND pruned = 0 AND forgotten IS NULL
  AND (status NOT IN ('succeeded', 'failed', 'cancelled') OR EXISTS (SELECT 1 FROM mail WHERE mail.run = runs.row))

-- name: held_are_due
UPDATE runs SET due = :now WHERE row IN (SELECT run FROM mail WHERE kind = 'restored')

-- name: new
SELECT count(*) FROM runs WHERE epoch = 0 AND status NOT IN ('succeeded', 'failed', 'cancelled')

-- name: workflows
SELECT DISTINCT workflow FROM runs ORDER BY workflow
