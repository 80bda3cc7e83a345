-- What a channel is called, as far as the source told on a day.
SELECT MAX(source_channel_id) AS source_channel_id, MAX_BY(display_name, IF(display_name IS NULL, NULL, seen_at)) AS display_name
FROM `${views}.counted_channels`
WHERE seen_date = @day AND channel_id = @channel_id
LIMIT 1
