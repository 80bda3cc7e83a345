-- How far each message came, as its source reported: the furthest state, in whatever order the states arrived.
-- Also of messages that were sent through a source's API, of which there are receipts and nothing else. Receipts that
-- cover a whole conversation up to a time (watermarks) are in messages_current. Reads all partitions of metadata, but
-- no content: a state counts on whatever day it comes.
WITH
  receipts AS (
    SELECT
      *,
      CASE
        WHEN key = 'source.error' THEN NULL
        WHEN value IN ('accepted', 'pending', 'scheduled') THEN '1'
        WHEN value = 'queued' THEN '2'
        WHEN value = 'sending' THEN '3'
        WHEN value = 'sent' THEN '4'
        WHEN value IN ('failed', 'undelivered', 'canceled') THEN '5'
        WHEN value = 'delivered' THEN '6'
        WHEN value IN ('read', 'seen') THEN '7'
        WHEN value = 'played' THEN '8'
        ELSE '0'
      END AS rank
    FROM `${views}.metadata`
    WHERE subject_type = 'message' AND key IN ('source.delivery_state', 'source.error')
  )
SELECT
  -- The message; joins messages.message_id where the message itself has come.
  subject_id AS message_id,
  MAX(source) AS source,
  MAX(channel_id) AS channel_id,
  MAX(conversation_id) AS conversation_id,
  -- The furthest state: accepted, queued, sending, sent, failed (also undelivered, canceled), delivered, read, played,
  -- in this order; another word of the source where there is none of these.
  SUBSTR(MAX(CONCAT(rank, value)), 2) AS state,
  -- When it was first reported to be sent; null where it was not.
  MIN(IF(rank = '4', occurred_at, NULL)) AS sent_at,
  -- When it was first reported to be delivered; null where it was not.
  MIN(IF(rank = '6', occurred_at, NULL)) AS delivered_at,
  -- When it was first reported to be read; null where it was not.
  MIN(IF(rank IN ('7', '8'), occurred_at, NULL)) AS read_at,
  -- When it was first reported to have failed; null where it was not.
  MIN(IF(rank = '5', occurred_at, NULL)) AS failed_at,
  -- The source's code of what went wrong; null where nothing did.
  MAX(IF(key = 'source.error', value, NULL)) AS error,
  -- The time of the first receipt.
  MIN(occurred_at) AS first_told_at,
  -- The partition of the first receipt.
  MIN(occurred_date) AS first_told_date
FROM receipts
GROUP BY subject_id
HAVING state IS NOT NULL
