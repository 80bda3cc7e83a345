-- Messages by day, or by hour of a short period, and source.
WITH
  told AS (
    SELECT
      source,
      direction,
      IF(
        @by_hour,
        -- A message whose own time cannot be right lies in the partition of its receipt.
        FORMAT_TIMESTAMP('%Y-%m-%d %H:00', IF(DATE(sent_at) = sent_date, sent_at, received_at)),
        FORMAT_DATE('%Y-%m-%d', sent_date)
      ) AS moment
    FROM `${views}.messages_as_told`
    WHERE sent_date BETWEEN @first_day AND @last_day AND (@source = '' OR source = @source)
  )
SELECT moment, source, COUNT(*) AS messages, COUNTIF(direction = 'inbound') AS inbound
FROM told
GROUP BY moment, source
ORDER BY moment, source
LIMIT 20000
