-- The last day that has messages, for who looks at a period without any.
SELECT MAX(sent_date) AS latest_day
FROM `${rows}.messages`
WHERE sent_date BETWEEN DATE_SUB(@last_day, INTERVAL 3660 DAY) AND DATE_ADD(@last_day, INTERVAL 3660 DAY)
LIMIT 1
