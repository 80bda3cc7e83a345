-- When contacts were seen around some days, up to 42 days away. Of all rows, whether they count or not, as spoken.sql.
SELECT
  MAX(IF(day < @first_day, day, NULL)) AS earlier_day,
  MIN(IF(day > @last_day, day, NULL)) AS later_day
FROM
  (
    SELECT contact_id, seen_date AS day
    FROM `${rows}.contacts`
    UNION ALL
    SELECT contact_id, sent_date
    FROM `${rows}.messages`
    UNION ALL
    SELECT contact_id, occurred_date
    FROM `${rows}.metadata`
  )
WHERE
  day BETWEEN DATE_SUB(@first_day, INTERVAL 42 DAY) AND DATE_ADD(@last_day, INTERVAL 42 DAY)
  AND contact_id IN (${contact_ids})
LIMIT 1
