-- Each fact once, as its first telling of the highest generation told it.
-- A filter on occurred_date prunes.
SELECT
  metadata_id,
  subject_type,
  subject_id,
  channel_id,
  conversation_id,
  contact_id,
  actor_id,
  source,
  key,
  value,
  occurred_at,
  occurred_at_from,
  occurred_at_raw,
  occurred_date,
  content,
  content_type,
  pointer,
  flags,
  event_id,
  received_at,
  generation,
  processed_at
FROM `${rows}.metadata`
WHERE TRUE
QUALIFY
  ROW_NUMBER() OVER (
    PARTITION BY occurred_date, metadata_id
    ORDER BY generation DESC, received_at, event_id, pointer, processed_at
  ) = 1
