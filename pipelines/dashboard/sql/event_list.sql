-- Raw events of the period by endpoint and outcome, the latest first; the next page begins after a key.
SELECT event_id, source, received_at, outcome, reason, `rows`, dead_letters, body_bytes
FROM `${views}.events`
WHERE
  received_at >= @since
  AND received_at < @until
  AND (@source = '' OR source = @source)
  AND (@outcome = '' OR outcome = @outcome)
  AND (received_at < @before OR (received_at = @before AND event_id < @before_id))
ORDER BY received_at DESC, event_id DESC
LIMIT @page_size
