-- Messages to contacts that came so far, the latest first, as overview.sql counts them; the next page begins after a key.
WITH
${exchanged},
${outbound}
SELECT message_id, conversation_id, contact_id, source, 'outbound' AS direction, sent_at, sent_date
FROM outbound
WHERE
  CASE @state
    WHEN 'sent' THEN COALESCE(rank, 0) IN (4, 6, 7)
    WHEN 'delivered' THEN COALESCE(rank, 0) IN (6, 7)
    WHEN 'read' THEN COALESCE(rank, 0) = 7
    WHEN 'failed' THEN COALESCE(rank, 0) = 5
    WHEN 'without_receipt' THEN rank IS NULL
    ELSE TRUE
  END
  AND (sent_at < @before OR (sent_at = @before AND message_id < @before_id))
ORDER BY sent_at DESC, message_id DESC, sent_date
LIMIT @page_size
