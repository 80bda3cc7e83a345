-- On which days something could not be normalized, the latest first.
SELECT DATE(received_at) AS day, COUNT(*) AS letters
FROM `${rows}.dead_letters`
WHERE received_at >= @since AND received_at < @until AND (@source = '' OR source = @source)
GROUP BY day
ORDER BY day DESC
LIMIT 400
