-- How far messages to contacts came, by source: what the view delivery_funnel says, from receipts that came within
-- three days, so that partitions of metadata are pruned too.
WITH
${exchanged},
  watermarks AS (
    SELECT
      conversation_id,
      MAX(IF(key = 'source.read_watermark', SAFE_CAST(value AS TIMESTAMP), NULL)) AS read_up_to,
      MAX(IF(key = 'source.delivered_watermark', SAFE_CAST(value AS TIMESTAMP), NULL)) AS delivered_up_to
    FROM receipts
    WHERE rank IS NULL
    GROUP BY conversation_id
  ),
  outbound AS (
    SELECT
      told.source,
      CASE
        WHEN states.rank IN (5, 7) THEN states.rank
        WHEN watermarks.read_up_to >= told.sent_at THEN 7
        WHEN watermarks.delivered_up_to >= told.sent_at THEN 6
        ELSE states.rank
      END AS rank
    FROM told
    LEFT JOIN states ON states.message_id = told.message_id
    LEFT JOIN watermarks ON watermarks.conversation_id = told.conversation_id
    WHERE told.direction = 'outbound' AND told.sent_date BETWEEN @first_day AND @last_day
    UNION ALL
    SELECT source, rank
    FROM by_receipt
    WHERE sent_date BETWEEN @first_day AND @last_day
  )
SELECT
  source,
  COUNT(*) AS messages,
  COUNTIF(rank IN (4, 6, 7)) AS sent,
  COUNTIF(rank IN (6, 7)) AS delivered,
  COUNTIF(rank = 7) AS read,
  COUNTIF(rank = 5) AS failed,
  COUNTIF(rank IS NULL) AS without_receipt
FROM outbound
GROUP BY source
ORDER BY messages DESC, source
LIMIT 200
