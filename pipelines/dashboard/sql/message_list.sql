-- Messages of the period, or of one hour of each of its days, the latest first; the next page begins after a key.
SELECT message_id, conversation_id, contact_id, source, direction, sent_at, sent_date
FROM `${views}.messages_as_told`
WHERE
  sent_date BETWEEN @first_day AND @last_day
  AND (@source = '' OR source = @source)
  AND (@direction = '' OR direction = @direction)
  -- As activity.sql counts them.
  AND (@hour = '' OR FORMAT_TIMESTAMP('%H', IF(DATE(sent_at) = sent_date, sent_at, received_at)) = @hour)
  AND (sent_at < @before OR (sent_at = @before AND message_id < @before_id))
ORDER BY sent_at DESC, message_id DESC, sent_date
LIMIT @page_size
