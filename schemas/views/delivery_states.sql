-- How far each message came, as its source told: the furthest state, in whatever order the states arrived.
-- Also of messages that were sent through a source's API, of which there are receipts and nothing else. Receipts that
-- cover a whole conversation up to a time (watermarks) are in messages_current. Reads all partitions of metadata, but
-- no content; a state counts whenever it comes, so a filter on a date cannot prune.
SELECT
  subject_id AS message_id,  -- The message; joins messages.message_id where the message itself was told.
  ANY_VALUE(source) AS source,
  ANY_VALUE(channel_id) AS channel_id,
  MAX(conversation_id) AS conversation_id,  -- The conversation it belongs to, where that can be known.
  SUBSTR(
    MAX(
      IF(
        key = 'source.delivery_state',
        CONCAT(
          CASE
            WHEN value IN ('accepted', 'pending', 'scheduled') THEN '1'
            WHEN value = 'queued' THEN '2'
            WHEN value = 'sending' THEN '3'
            WHEN value = 'sent' THEN '4'
            WHEN value IN ('failed', 'undelivered', 'canceled') THEN '5'
            WHEN value = 'delivered' THEN '6'
            WHEN value IN ('read', 'seen') THEN '7'
            WHEN value = 'played' THEN '8'
            ELSE '0'
          END,
          value
        ),
        NULL
      )
    ),
    2
  ) AS state,  -- The furthest state: accepted, queued, sending, sent, failed, delivered, read, played, or another word of the source.
  MIN(IF(key = 'source.delivery_state' AND value = 'sent', occurred_at, NULL)) AS sent_at,  -- When it was first told to be sent.
  MIN(IF(key = 'source.delivery_state' AND value = 'delivered', occurred_at, NULL)) AS delivered_at,  -- When it was first told to be delivered.
  MIN(IF(key = 'source.delivery_state' AND value IN ('read', 'seen', 'played'), occurred_at, NULL)) AS read_at,  -- When it was first told to be read.
  MIN(IF(key = 'source.delivery_state' AND value IN ('failed', 'undelivered', 'canceled'), occurred_at, NULL)) AS failed_at,  -- When it was first told to have failed.
  MAX(IF(key = 'source.error', value, NULL)) AS error,  -- The source's code of what went wrong; null where nothing did.
  MIN(occurred_at) AS first_told_at,  -- The time of the first receipt.
  MIN(occurred_date) AS first_told_date  -- The partition of the first receipt.
FROM `${views}.metadata`
WHERE subject_type = 'message' AND key IN ('source.delivery_state', 'source.error')
GROUP BY subject_id
