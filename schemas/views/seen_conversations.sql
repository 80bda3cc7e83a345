-- Every sighting of a conversation, whether it counts or not: those with a row of their own, and those that messages
-- and metadata tell. The view counted_conversations has those that count. A filter on seen_date prunes.
SELECT
  conversation_id,
  channel_id,
  contact_id,
  source,
  source_conversation_id,
  seen_at,
  seen_date,
  event_id,
  received_at,
  generation,
  processed_at,
  placed_at,
  run_id
FROM `${rows}.conversations`
UNION ALL
SELECT
  conversation_id,
  channel_id,
  contact_id,
  source,
  COALESCE(source_conversation_id, source_contact_id) AS source_conversation_id,
  sent_at AS seen_at,
  sent_date AS seen_date,
  event_id,
  received_at,
  generation,
  processed_at,
  placed_at,
  run_id
FROM `${rows}.messages`
WHERE
  source_contact_id IS NOT NULL
  -- Not the contact's own, such as a group: it has a row of its own.
  AND (source_conversation_id IS NULL OR source_conversation_id != '')
UNION ALL
SELECT
  conversation_id,
  channel_id,
  contact_id,
  source,
  COALESCE(source_conversation_id, source_contact_id) AS source_conversation_id,
  occurred_at AS seen_at,
  occurred_date AS seen_date,
  event_id,
  received_at,
  generation,
  processed_at,
  placed_at,
  run_id
FROM `${rows}.metadata`
WHERE
  source_contact_id IS NOT NULL
  AND conversation_id IS NOT NULL
  AND (source_conversation_id IS NULL OR source_conversation_id != '')
