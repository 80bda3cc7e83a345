-- Every sighting of a channel, whether it counts or not: those with a row of their own (a name that comes with nothing
-- else), and those that messages and metadata tell. The view counted_channels has those that count. A filter on
-- seen_date prunes.
SELECT
  channel_id,
  source,
  source_channel_id,
  display_name,
  seen_at,
  seen_date,
  event_id,
  received_at,
  generation,
  processed_at,
  placed_at,
  run_id
FROM `${rows}.channels`
UNION ALL
SELECT
  channel_id,
  source,
  source_channel_id,
  channel_display_name AS display_name,
  sent_at AS seen_at,
  sent_date AS seen_date,
  event_id,
  received_at,
  generation,
  processed_at,
  placed_at,
  run_id
FROM `${rows}.messages`
WHERE source_channel_id IS NOT NULL
UNION ALL
SELECT
  channel_id,
  source,
  source_channel_id,
  channel_display_name AS display_name,
  occurred_at AS seen_at,
  occurred_date AS seen_date,
  event_id,
  received_at,
  generation,
  processed_at,
  placed_at,
  run_id
FROM `${rows}.metadata`
WHERE source_channel_id IS NOT NULL
