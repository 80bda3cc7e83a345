  -- Included by other queries, after what was exchanged: messages to contacts in the period, and how far each came.
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
      told.message_id,
      told.conversation_id,
      told.contact_id,
      told.source,
      told.sent_at,
      told.sent_date,
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
    SELECT message_id, conversation_id, NULL, source, sent_at, sent_date, rank
    FROM by_receipt
    WHERE sent_date BETWEEN @first_day AND @last_day
  )
