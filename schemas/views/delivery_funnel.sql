-- How far the messages of each day came, by channel: each step counts the messages that reached it or a later one.
-- A filter on sent_date prunes the messages; receipts are looked for in all partitions of metadata, of which messages_current
-- reads content, too.
WITH
  outbound AS (
    SELECT sent_date, source, channel_id, delivery_state AS state, TRUE AS is_told
    FROM `${views}.messages_current`
    WHERE direction = 'outbound'
    UNION ALL
    SELECT sent_date, source, channel_id, state, FALSE
    FROM `${views}.messages_by_receipt`
  ),
  steps AS (
    SELECT
      *,
      state IN ('sent', 'delivered', 'read', 'seen', 'played') AS is_sent,
      state IN ('delivered', 'read', 'seen', 'played') AS is_delivered,
      state IN ('read', 'seen', 'played') AS is_read,
      state IN ('failed', 'undelivered', 'canceled') AS is_failed
    FROM outbound
  )
SELECT
  sent_date,
  source,
  channel_id,
  -- How many messages went to contacts, as far as the source reported.
  COUNT(*) AS messages,
  -- How many of them are known by their receipts alone.
  COUNTIF(NOT is_told) AS only_receipts,
  -- How many of them have no receipt.
  COUNTIF(state IS NULL) AS without_receipt,
  -- How many were sent.
  COUNTIF(is_sent) AS sent,
  -- How many reached the contact's device.
  COUNTIF(is_delivered) AS delivered,
  -- How many the contact read.
  COUNTIF(is_read) AS read,
  -- How many never arrived.
  COUNTIF(is_failed) AS failed,
  -- The delivered ones as a share of those with a receipt; null where there are none.
  SAFE_DIVIDE(COUNTIF(is_delivered), COUNTIF(state IS NOT NULL)) AS delivery_rate,
  -- The read ones as a share of the delivered ones; null where there are none.
  SAFE_DIVIDE(COUNTIF(is_read), COUNTIF(is_delivered)) AS read_rate
FROM steps
GROUP BY sent_date, source, channel_id
