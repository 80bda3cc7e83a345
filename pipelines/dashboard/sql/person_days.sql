-- When contacts were seen around some days, up to 45 days away. Of all rows, whether they count or not, as spoken.sql.
SELECT
  MAX(IF(seen_date < @first_day, seen_date, NULL)) AS earlier_day,
  MIN(IF(seen_date > @last_day, seen_date, NULL)) AS later_day
FROM `${rows}.contacts`
WHERE
  seen_date BETWEEN DATE_SUB(@first_day, INTERVAL 45 DAY) AND DATE_ADD(@last_day, INTERVAL 45 DAY)
  AND contact_id IN (${contact_ids})
LIMIT 1
