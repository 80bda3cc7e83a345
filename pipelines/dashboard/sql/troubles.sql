-- Dead letters of the period by where and how they failed.
SELECT source, stage, error_class, COUNT(*) AS letters, MAX(received_at) AS last_at
FROM `${views}.dead_letters`
WHERE received_at >= @since AND received_at < @until
GROUP BY source, stage, error_class
ORDER BY letters DESC, source, stage, error_class
LIMIT 50
