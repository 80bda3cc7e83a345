-- What contacts thought of it in the period, as the view ratings has it: by scale, and how many were low, middling, high.
WITH
${reported},
  reported_ratings AS (
${ratings}
  )
SELECT
  source,
  scale,
  COUNT(*) AS ratings,
  COUNTIF(score < 0.5) AS low,
  COUNTIF(score >= 0.5 AND score < 0.75) AS middling,
  COUNTIF(score >= 0.75) AS high,
  COUNTIF(score IS NULL) AS unreadable,
  ROUND(AVG(points), 6) AS points
FROM reported_ratings
WHERE rated_date BETWEEN @first_day AND @last_day AND (@source = '' OR source = @source)
GROUP BY source, scale
ORDER BY ratings DESC, source, scale
LIMIT 500
