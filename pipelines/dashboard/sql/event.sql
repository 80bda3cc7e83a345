-- A raw event's line in the ledger.
SELECT event_id, source, received_at, outcome, reason, `rows`, dead_letters, body_bytes, body_sha256, content_type,
  verified_by, generation
FROM `${views}.events`
WHERE received_at >= @since AND received_at < @until AND event_id = @event_id
LIMIT 1
