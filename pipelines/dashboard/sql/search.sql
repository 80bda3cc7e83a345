-- Messages of a few days that say something, day by day, the latest first; the next page begins after a key of the last day.
-- Of a few days: what they say is in the content, which is most of the table.
SELECT message_id, conversation_id, contact_id, source, direction, sent_at, sent_date
FROM (${texts})
WHERE
  sent_date BETWEEN @first_day AND @last_day
  AND (@source = '' OR source = @source)
  AND (@direction = '' OR direction = @direction)
  AND STRPOS(LOWER(COALESCE(text, '')), LOWER(@text)) > 0
  AND (sent_date < @last_day OR sent_at < @before OR (sent_at = @before AND message_id < @before_id))
ORDER BY sent_date DESC, sent_at DESC, message_id DESC
LIMIT @page_size
