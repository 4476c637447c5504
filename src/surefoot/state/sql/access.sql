-- Statements about tokens and sessions.

-- name: add_token
INSERT INTO tokens (id, person, scopes, digest, note, created, expires) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: revoke
UPDATE tokens SET revoked = ? WHERE id = ? AND revoked IS NULL

-- name: end_sessions_of
DELETE FROM sessions WHERE token = ?

-- name: used
UPDATE tokens SET used = ? WHERE id = ?

-- name: token
SELECT id, person, scopes, digest, note, created, expires, revoked, used FROM tokens WHERE id = ?

-- name: tokens
SELECT id, person, scopes, digest, note, created, expires, revoked, used FROM tokens ORDER BY created, id

-- name: sweep_sessions
DELETE FROM sessions WHERE expires <= ?

-- name: add_session
INSERT INTO sessions (digest, token, created, expires) VALUES (?, ?, ?, ?)

-- name: session
SELECT digest, token, created, expires, used FROM sessions WHERE digest = ?

-- name: session_used
UPDATE sessions SET used = ? WHERE digest = ?

-- name: end_session
DELETE FROM sessions WHERE digest = ?
