-- Conversations with messages in the period, the one spoken in last first; the next page begins after a key.
WITH
${exchanged},
  found AS (
    SELECT DISTINCT contact_id
    FROM `${rows}.contacts`
    WHERE
      seen_date BETWEEN @first_day AND @last_day
      AND @contact != ''
      AND (
        STRPOS(LOWER(COALESCE(display_name, '')), LOWER(@contact)) > 0
        OR STRPOS(LOWER(COALESCE(username, '')), LOWER(@contact)) > 0
        OR STRPOS(COALESCE(phone_number, ''), @contact) > 0
        OR STRPOS(source_contact_id, @contact) > 0
      )
  ),
  talks AS (
    SELECT
      exchanged.conversation_id,
      MAX(told.source) AS source,
      MAX_BY(told.contact_id, told.sent_at) AS contact_id,
      COUNT(told.message_id) AS messages,
      MAX(told.sent_at) AS last_message_at,
      MAX_BY(told.message_id, told.sent_at) AS last_message_id,
      MAX_BY(told.sent_date, told.sent_at) AS last_message_date,
      MAX_BY(exchanged.direction, exchanged.sent_at) = 'inbound' AS is_waiting
    FROM exchanged
    LEFT JOIN told ON told.message_id = exchanged.message_id
    WHERE exchanged.sent_date BETWEEN @first_day AND @last_day
    GROUP BY exchanged.conversation_id
  )
SELECT *
FROM talks
WHERE
  messages > 0
  AND (is_waiting OR NOT @waiting)
  AND (@contact = '' OR contact_id IN (SELECT contact_id FROM found))
  AND (last_message_at < @before OR (last_message_at = @before AND conversation_id > @after_id))
ORDER BY last_message_at DESC, conversation_id
LIMIT @page_size
