-- How long contacts waited: one row per turn, which begins with a contact's message after ours and ends with our next.
-- An answer that is known by its receipts alone (messages_by_receipt) counts, too; one that failed does not. It may come
-- on any later day, so a filter on asked_date cannot prune; no content is read.
WITH
  told AS (
    SELECT message_id, conversation_id, contact_id, channel_id, source, direction, sent_at, sent_date
    FROM `${views}.messages`
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER (PARTITION BY message_id ORDER BY sent_date) = 1
  ),
  failed AS (
    SELECT message_id
    FROM `${views}.delivery_states`
    WHERE state IN ('failed', 'undelivered', 'canceled')
  ),
  exchanged AS (
    SELECT told.*
    FROM told
    LEFT JOIN failed ON failed.message_id = told.message_id
    WHERE told.direction = 'inbound' OR failed.message_id IS NULL
    UNION ALL
    SELECT message_id, conversation_id, NULL, channel_id, source, 'outbound', sent_at, sent_date
    FROM `${views}.messages_by_receipt`
    WHERE state NOT IN ('failed', 'undelivered', 'canceled')
  ),
  ordered AS (
    SELECT
      *,
      LAG(direction) OVER conversation AS previous_direction,
      SUM(IF(direction = 'outbound', 1, 0)) OVER conversation AS answers_before,
      MIN(IF(direction = 'outbound', sent_at, NULL)) OVER (
        conversation ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
      ) AS answered_at
    FROM exchanged
    WINDOW conversation AS (PARTITION BY conversation_id ORDER BY sent_at, direction, message_id)
  )
SELECT
  conversation_id,
  contact_id,
  channel_id,
  source,
  -- The message with which the turn begins.
  message_id AS asked_message_id,
  -- When that message was sent.
  sent_at AS asked_at,
  -- The partition of that message.
  sent_date AS asked_date,
  -- Whether nothing had been sent to the contact before.
  answers_before = 0 AS is_first,
  -- When the next message to the contact was sent that did not fail; null where there is none yet.
  answered_at,
  -- Seconds from the one to the other.
  TIMESTAMP_DIFF(answered_at, sent_at, MILLISECOND) / 1000 AS response_seconds
FROM ordered
WHERE direction = 'inbound' AND COALESCE(previous_direction, 'outbound') = 'outbound'
