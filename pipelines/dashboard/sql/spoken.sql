-- When a conversation was spoken in or of: the last of some days, and the nearest around them, up to 45 days away. Of all
-- rows, whether they count or not: that would be twice as much to read, and all that follows is where a link leads.
SELECT
  MAX(IF(seen_date < @first_day, seen_date, NULL)) AS earlier_day,
  MAX(IF(seen_date BETWEEN @first_day AND @last_day, seen_date, NULL)) AS day,
  MIN(IF(seen_date > @last_day, seen_date, NULL)) AS later_day
FROM `${rows}.conversations`
WHERE
  seen_date BETWEEN DATE_SUB(@first_day, INTERVAL 45 DAY) AND DATE_ADD(@last_day, INTERVAL 45 DAY)
  AND conversation_id IN (${conversation_ids})
LIMIT 1
