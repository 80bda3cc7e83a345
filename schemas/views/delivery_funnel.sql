-- How far the messages of each day came, by channel: each step counts the messages that reached it or a later one.
-- A filter on sent_date prunes the messages; receipts are looked for in all partitions of metadata.
WITH
  outbound AS (
    SELECT sent_date, source, channel_id, delivery_state, TRUE AS is_told
    FROM `${views}.messages_current`
    WHERE direction = 'outbound'
    UNION ALL
    -- Sent through the source's API: only the receipts are known.
    SELECT states.first_told_date, states.source, states.channel_id, states.state, FALSE
    FROM `${views}.delivery_states` AS states
    LEFT JOIN `${views}.messages` AS message ON message.message_id = states.message_id
    WHERE message.message_id IS NULL
  )
SELECT
  sent_date,
  source,
  channel_id,
  COUNT(*) AS messages,  -- How many messages went to contacts, as far as the source told.
  COUNTIF(NOT is_told) AS only_receipts,  -- How many of them are known by their receipts alone.
  COUNTIF(delivery_state IS NULL) AS untold,  -- How many of them have no receipt.
  COUNTIF(delivery_state IN ('sent', 'delivered', 'read', 'seen', 'played')) AS sent,  -- How many were sent.
  COUNTIF(delivery_state IN ('delivered', 'read', 'seen', 'played')) AS delivered,  -- How many reached the contact's device.
  COUNTIF(delivery_state IN ('read', 'seen', 'played')) AS read,  -- How many the contact read.
  COUNTIF(delivery_state IN ('failed', 'undelivered', 'canceled')) AS failed,  -- How many never arrived.
  SAFE_DIVIDE(COUNTIF(delivery_state IN ('delivered', 'read', 'seen', 'played')), COUNTIF(delivery_state IS NOT NULL)) AS delivery_rate,  -- Delivered ones among those with a receipt.
  SAFE_DIVIDE(COUNTIF(delivery_state IN ('read', 'seen', 'played')), COUNTIF(delivery_state IN ('delivered', 'read', 'seen', 'played'))) AS read_rate  -- Read ones among those that were delivered.
FROM outbound
GROUP BY sent_date, source, channel_id
