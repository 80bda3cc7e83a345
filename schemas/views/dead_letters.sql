-- What could not be normalized or stored, each failure once.
-- A filter on received_date or received_at prunes.
SELECT
  event_id,
  source,
  received_at,
  received_date,
  stage,
  pointer,
  error_class,
  error_message,
  traceback,
  table_name,
  data,
  attributes,
  generation,
  processed_at
FROM `${views}.counted_dead_letters`
WHERE TRUE
QUALIFY
  ROW_NUMBER() OVER (
    PARTITION BY received_date, received_at, event_id, stage, pointer, table_name, attributes
    ORDER BY generation DESC, processed_at, error_message
  ) = 1
