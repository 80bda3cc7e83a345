-- What a channel is called, as far as the source told on a day; of several names at one time that which the view
-- channels has.
SELECT MAX(source_channel_id) AS source_channel_id, MAX(display_name) AS display_name
FROM
  (
    SELECT source_channel_id, FIRST_VALUE(display_name IGNORE NULLS) OVER latest AS display_name
    FROM `${views}.counted_channels`
    WHERE seen_date = @day AND channel_id = @channel_id
    WINDOW
      latest AS (
        PARTITION BY channel_id
        ORDER BY seen_at DESC, event_id DESC, display_name
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
      )
  )
LIMIT 1
