-- When a conversation was spoken in or of: the last of some days, and the nearest around them, up to 45 days away. Of all
-- rows, whether they count or not: that would be twice as much to read, and all that follows is where a link leads.
SELECT
  MAX(IF(day < @first_day, day, NULL)) AS earlier_day,
  MAX(IF(day BETWEEN @first_day AND @last_day, day, NULL)) AS day,
  MIN(IF(day > @last_day, day, NULL)) AS later_day
FROM
  (
    SELECT conversation_id, seen_date AS day
    FROM `${rows}.conversations`
    UNION ALL
    SELECT conversation_id, sent_date
    FROM `${rows}.messages`
    UNION ALL
    SELECT conversation_id, occurred_date
    FROM `${rows}.metadata`
  )
WHERE
  day BETWEEN DATE_SUB(@first_day, INTERVAL 45 DAY) AND DATE_ADD(@last_day, INTERVAL 45 DAY)
  AND conversation_id IN (${conversation_ids})
LIMIT 1
