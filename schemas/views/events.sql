-- Each raw event once, with what became of it in the highest generation.
-- A filter on received_date or received_at prunes: a raw event has one time of receipt, however often it is processed.
SELECT
  event_id,
  source,
  received_at,
  received_date,
  outcome,
  reason,
  `rows`,
  dead_letters,
  body_bytes,
  body_sha256,
  content_type,
  verified_by,
  generation,
  processed_at
FROM `${views}.counted_events`
WHERE TRUE
QUALIFY
  ROW_NUMBER() OVER (
    PARTITION BY received_date, received_at, event_id
    ORDER BY generation DESC, processed_at
  ) = 1
