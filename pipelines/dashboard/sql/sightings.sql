-- A conversation's contact and channel, and the days on which it was spoken in around some days, of ten years.
SELECT
  MAX_BY(contact_id, seen_at) AS contact_id,
  MAX_BY(channel_id, seen_at) AS channel_id,
  MAX(source) AS source,
  MIN(seen_date) AS first_day,
  MAX(IF(seen_date < @first_day, seen_date, NULL)) AS earlier_day,
  MIN(IF(seen_date > @last_day, seen_date, NULL)) AS later_day
FROM `${rows}.conversations`
WHERE
  seen_date BETWEEN DATE_SUB(@last_day, INTERVAL 3660 DAY) AND DATE_ADD(@last_day, INTERVAL 3660 DAY)
  AND conversation_id = @conversation_id
HAVING COUNT(*) > 0
LIMIT 1
