-- What contacts wrote who waited so long for an answer, the latest first, as overview.sql counts them: from some seconds to
-- less than others, or without an answer (below 0); the next page begins after a key.
WITH
${exchanged},
${turns}
SELECT
  turns.message_id, turns.conversation_id, told.contact_id, told.source, 'inbound' AS direction, turns.sent_at, turns.sent_date,
  turns.seconds
FROM turns
INNER JOIN told ON told.message_id = turns.message_id
WHERE
  IF(@at_least < 0.0, turns.seconds IS NULL, turns.seconds >= @at_least AND turns.seconds < @less_than)
  AND (turns.sent_at < @before OR (turns.sent_at = @before AND turns.message_id < @before_id))
ORDER BY sent_at DESC, message_id DESC, sent_date
LIMIT @page_size
