-- The ledger of the period: raw events by what became of them.
SELECT source, outcome, COUNT(*) AS events
FROM `${views}.events`
WHERE received_at >= @since AND received_at < @until
GROUP BY source, outcome
ORDER BY source, outcome
LIMIT 500
