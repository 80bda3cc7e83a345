-- What is known beside the messages of a conversation, each entry once as the view metadata has it.
WITH
  stored AS (
    SELECT DISTINCT message_id
    FROM `${rows}.messages`
    WHERE
      sent_date BETWEEN DATE_SUB(@first_day, INTERVAL 31 DAY) AND DATE_ADD(@last_day, INTERVAL 1 DAY)
      AND conversation_id = @conversation_id
  ),
  entries AS (
    SELECT *
    FROM `${views}.metadata`
    WHERE
      occurred_date BETWEEN DATE_SUB(@first_day, INTERVAL 1 DAY) AND DATE_ADD(@last_day, INTERVAL 7 DAY)
      AND (subject_id IN (${message_ids}) OR conversation_id = @conversation_id)
  )
SELECT
  metadata_id,
  subject_type,
  subject_id,
  key,
  value,
  occurred_at,
  occurred_date,
  received_at,
  event_id,
  -- Rows of generations before 3 have it in their content alone, which is too much to read: until they are reprocessed,
  -- all reactions to a message count as one person's.
  actor_id,
  stored.message_id IS NOT NULL AS has_message
FROM entries
LEFT JOIN stored ON stored.message_id = entries.subject_id
ORDER BY occurred_at, received_at, metadata_id
LIMIT 5000
