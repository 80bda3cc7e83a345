-- How long contacts wait for a first answer, by channel and hour of the day at which they asked.
SELECT
  channel.source,
  channel.channel_id,
  COALESCE(channel.display_name, channel.source_channel_id) AS channel_name,
  EXTRACT(HOUR FROM response.asked_at) AS asked_hour,
  COUNT(*) AS questions,
  COUNTIF(response.response_seconds IS NULL) AS unanswered,
  APPROX_QUANTILES(response.response_seconds, 100)[OFFSET(50)] AS median_seconds,
  APPROX_QUANTILES(response.response_seconds, 100)[OFFSET(90)] AS p90_seconds
FROM {{ source('parley', 'response_times') }} AS response
INNER JOIN {{ source('parley', 'channels') }} AS channel ON channel.channel_id = response.channel_id
WHERE response.is_first
GROUP BY channel.source, channel.channel_id, channel_name, asked_hour
