-- Statements about the outbox and where it goes.

-- name: endpoints
SELECT id, url, types, created FROM endpoints ORDER BY id

-- name: put_endpoint
INSERT INTO endpoints (id, url, types, created) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET url = excluded.url, types = excluded.types
WHERE url <> excluded.url OR types <> excluded.types

-- What a removed endpoint was still to be told, nobody is told.
-- name: remove_endpoints
DELETE FROM endpoints WHERE id NOT IN (SELECT value FROM json_each(?))

-- name: drop_stray
UPDATE deliveries SET status = 'dropped', answer = 'its endpoint was removed'
WHERE status = 'waiting' AND endpoint NOT IN (SELECT id FROM endpoints)

-- name: any_due
SELECT EXISTS (SELECT 1 FROM deliveries WHERE endpoint = ? AND status = 'waiting' AND due <= ?)

-- name: next_delivery
SELECT min(due) FROM deliveries WHERE endpoint = ? AND status = 'waiting'

-- Taken for a while: whoever dies with it leaves it to be sent again.
-- name: take
UPDATE deliveries SET attempts = attempts + 1, due = :until WHERE id IN (
  SELECT id FROM deliveries WHERE endpoint = :endpoint AND status = 'waiting' AND due <= :now
  ORDER BY due, id LIMIT :limit)
RETURNING id

-- name: deliveries
SELECT d.id, d.endpoint, d.type, runs.id, d.item, d.at, d.status, d.attempts, d.due, d.answer
FROM deliveries AS d JOIN runs ON runs.row = d.run {where}

-- name: counts
SELECT status, count(*) FROM deliveries GROUP BY status

-- Only by whoever has it: another attempt may have begun meanwhile.
-- name: settle
UPDATE deliveries SET status = ?, due = ?, answer = ? WHERE id = ? AND attempts = ? AND status = 'waiting'

-- name: replay
UPDATE deliveries SET status = 'waiting', attempts = 0, due = ?, answer = '' WHERE id = ? AND status <> 'waiting'

-- name: sweep
DELETE FROM deliveries WHERE status <> 'waiting' AND at < ?
