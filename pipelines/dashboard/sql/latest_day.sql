-- The last day that has messages within a year, for who looks at a period without any.
SELECT MAX(sent_date) AS latest_day
FROM `${rows}.messages`
WHERE sent_date BETWEEN DATE_SUB(@last_day, INTERVAL 366 DAY) AND DATE_ADD(@last_day, INTERVAL 366 DAY)
LIMIT 1
