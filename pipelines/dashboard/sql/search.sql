-- Messages of a day that say something, the latest first. Of one day: what they say is in the content, which is most of the
-- table.
SELECT message_id, conversation_id, contact_id, source, direction, sent_at, sent_date
FROM (${texts})
WHERE
  sent_date = @day
  AND (@source = '' OR source = @source)
  AND (@direction = '' OR direction = @direction)
  AND STRPOS(LOWER(COALESCE(text, '')), LOWER(@text)) > 0
  AND (sent_at < @before OR (sent_at = @before AND message_id < @before_id))
ORDER BY sent_at DESC, message_id DESC, sent_date
LIMIT @page_size
