-- The conversations of a person that were spoken in or of on some days, by every id that each is told with.
WITH
${people},
  spoken AS (
    SELECT conversation_id, MAX(source) AS source, MAX(contact_id) AS contact_id, MAX(seen_date) AS day
    FROM `${views}.counted_conversations`
    WHERE seen_date BETWEEN @first_day AND @last_day AND contact_id IN (${contact_ids})
    GROUP BY conversation_id
  ),
  said AS (
    SELECT conversation_id, COUNT(DISTINCT message_id) AS messages, MAX(sent_at) AS last_message_at, MAX(sent_date) AS day
    FROM `${views}.messages_as_told`
    WHERE sent_date BETWEEN @first_day AND @last_day AND contact_id IN (${contact_ids})
    GROUP BY conversation_id
  )
SELECT
  spoken.conversation_id,
  COALESCE(same.resolved_conversation_id, spoken.conversation_id) AS resolved_conversation_id,
  spoken.source,
  spoken.contact_id,
  COALESCE(said.day, spoken.day) AS day,
  COALESCE(said.messages, 0) AS messages,
  said.last_message_at
FROM spoken
LEFT JOIN said ON said.conversation_id = spoken.conversation_id
LEFT JOIN same ON same.conversation_id = spoken.conversation_id
ORDER BY last_message_at DESC, spoken.conversation_id
LIMIT 60
