-- A raw event's line in the ledger, and in which partitions its rows are.
SELECT event_id, source, received_at, outcome, reason, `rows`, dead_letters, body_bytes, body_sha256, content_type,
  verified_by, generation, first_date, last_date
FROM `${views}.counted_events`
WHERE received_at >= @since AND received_at < @until AND event_id = @event_id
ORDER BY generation DESC, processed_at
LIMIT 1
