-- On which days something could not be normalized, the latest first.
SELECT received_date AS day, COUNT(*) AS letters
FROM `${views}.dead_letters`
WHERE received_at >= @since AND received_at < @until AND (@source = '' OR source = @source)
GROUP BY day
ORDER BY day DESC
LIMIT 400
