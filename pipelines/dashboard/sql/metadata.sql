-- What is known beside the messages of a conversation, each entry once as the view metadata has it.
WITH
${people},
  -- Whoever reacts by a phone number, and again by a user id, is one actor.
  actors AS (
    SELECT source, source_contact_id, MIN(resolved_source_contact_id) AS resolved_source_contact_id
    FROM who
    GROUP BY source, source_contact_id
  ),
  stored AS (
    SELECT DISTINCT message_id
    FROM `${rows}.messages`
    WHERE
      sent_date BETWEEN DATE_SUB(@first_day, INTERVAL 31 DAY) AND DATE_ADD(@last_day, INTERVAL 1 DAY)
      AND conversation_id IN (${conversation_ids})
  ),
  entries AS (
    SELECT *
    FROM `${views}.metadata_as_told`
    WHERE
      occurred_date BETWEEN DATE_SUB(@first_day, INTERVAL 1 DAY) AND DATE_ADD(@last_day, INTERVAL 7 DAY)
      AND (subject_id IN (${message_ids}) OR conversation_id IN (${conversation_ids}))
  )
SELECT
  entries.metadata_id,
  entries.subject_type,
  entries.subject_id,
  entries.conversation_id,
  entries.key,
  entries.value,
  entries.occurred_at,
  entries.occurred_date,
  entries.received_at,
  entries.event_id,
  -- Rows of generations before 3 have it in their content alone, which is too much to read: until they are reprocessed,
  -- all reactions to a message count as one person's.
  COALESCE(actors.resolved_source_contact_id, entries.actor_id) AS actor_id,
  stored.message_id IS NOT NULL AS has_message
FROM entries
LEFT JOIN stored ON stored.message_id = entries.subject_id
LEFT JOIN actors ON actors.source = entries.source AND actors.source_contact_id = entries.actor_id
-- Not of the messages of other pages: in a conversation of thousands there would be no room for those of this one.
WHERE entries.subject_type != 'message' OR stored.message_id IS NULL OR entries.subject_id IN (${message_ids})
-- Of what covers a conversation up to a time, the furthest covers all that the others do.
QUALIFY
  entries.key NOT IN ('source.read_watermark', 'source.delivered_watermark')
  OR ROW_NUMBER() OVER (
    PARTITION BY entries.subject_id, entries.key
    ORDER BY SAFE_CAST(entries.value AS TIMESTAMP) DESC, entries.received_at DESC, entries.metadata_id
  )
  = 1
-- As messages_current has it: of what one webhook tells of one second, what it tells last is the latest.
ORDER BY
  entries.occurred_at,
  entries.received_at,
  entries.event_id,
  LENGTH(entries.pointer),
  entries.pointer,
  entries.metadata_id
LIMIT 5000
