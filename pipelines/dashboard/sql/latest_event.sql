-- When the webhook that was received last had been received, and how long after that it was stored.
SELECT received_at, TIMESTAMP_DIFF(processed_at, received_at, MILLISECOND) / 1000 AS lag_seconds
FROM `${rows}.events`
WHERE received_at >= @since AND received_at < @until
ORDER BY received_at DESC, processed_at
LIMIT 1
