-- What came and went, with how many people, and how many of them had the last word.
WITH
${exchanged},
  talks AS (
    SELECT conversation_id, MAX_BY(direction, sent_at) AS last_direction, LOGICAL_OR(is_told) AS is_told
    FROM exchanged
    WHERE sent_date BETWEEN @first_day AND @last_day
    GROUP BY conversation_id
  )
SELECT
  COUNT(*) AS messages,
  COUNTIF(direction = 'inbound') AS inbound,
  COUNTIF(direction = 'outbound') AS outbound,
  COUNT(DISTINCT contact_id) AS contacts,
  (SELECT COUNTIF(is_told) FROM talks) AS conversations,
  (SELECT COUNTIF(is_told AND last_direction = 'inbound') FROM talks) AS waiting
FROM told
WHERE sent_date BETWEEN @first_day AND @last_day
LIMIT 1
