-- When a contact has written last, in a week: a day of that decides whether the source takes an answer. Of all rows, whether
-- they count or not: that is half as much to read.
SELECT MAX(sent_at) AS asked_at
FROM `${rows}.messages`
WHERE
  sent_date BETWEEN DATE_SUB(@today, INTERVAL 7 DAY) AND DATE_ADD(@today, INTERVAL 1 DAY)
  AND conversation_id IN (${conversation_ids})
  AND direction = 'inbound'
LIMIT 1
