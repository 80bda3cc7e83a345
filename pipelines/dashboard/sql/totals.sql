-- What came and went, with how many people, and how many of them wait for an answer.
WITH
${exchanged},
  chosen AS (
    SELECT *
    FROM told
    WHERE sent_date BETWEEN @first_day AND @last_day
  )
SELECT
  COUNT(*) AS messages,
  COUNTIF(chosen.direction = 'inbound') AS inbound,
  COUNTIF(chosen.direction = 'outbound') AS outbound,
  COUNT(DISTINCT chosen.contact_id) AS contacts,
  COUNT(DISTINCT chosen.conversation_id) AS conversations,
  COUNT(DISTINCT waits.conversation_id) AS waiting
FROM chosen
LEFT JOIN waits ON waits.conversation_id = chosen.conversation_id
LIMIT 1
