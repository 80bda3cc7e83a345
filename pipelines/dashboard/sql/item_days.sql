-- Of which days an event has rows.
SELECT sent_date AS day
FROM `${views}.counted_messages`
WHERE sent_date BETWEEN @first_day AND @last_day AND event_id = @event_id
UNION DISTINCT
SELECT occurred_date
FROM `${views}.counted_metadata`
WHERE occurred_date BETWEEN @first_day AND @last_day AND event_id = @event_id
ORDER BY day
LIMIT 400
