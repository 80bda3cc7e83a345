-- A conversation's stretches: each session ends with 24 hours of silence, and what is said after that begins the next. To
-- choose other hours, see the cookbook. Counts and first responses are as in conversations and response_times: an answer
-- that is known by its receipts alone (messages_by_receipt) counts, one that failed answers nothing. What came before a day
-- decides where a session begins, so a filter on started_date cannot prune; no content is read.
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
    SELECT told.*, TRUE AS is_told, told.direction = 'outbound' AND failed.message_id IS NULL AS may_answer
    FROM told
    LEFT JOIN failed ON failed.message_id = told.message_id
    UNION ALL
    SELECT message_id, conversation_id, NULL, channel_id, source, 'outbound', sent_at, sent_date, FALSE, TRUE
    FROM `${views}.messages_by_receipt`
    WHERE state NOT IN ('failed', 'undelivered', 'canceled') AND conversation_id IS NOT NULL
  ),
  ordered AS (
    SELECT
      *,
      LAG(sent_at) OVER conversation AS previous_at,
      -- Until when WhatsApp lets a business write freely: 24 hours after the contact's last message.
      TIMESTAMP_ADD(
        MAX(IF(direction = 'inbound', sent_at, NULL)) OVER (
          conversation ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ),
        INTERVAL 24 HOUR
      ) AS window_until
    FROM exchanged
    WINDOW conversation AS (PARTITION BY conversation_id ORDER BY sent_at, direction, message_id)
  ),
  numbered AS (
    SELECT
      *,
      SUM(IF(previous_at IS NULL OR sent_at >= TIMESTAMP_ADD(previous_at, INTERVAL 24 HOUR), 1, 0)) OVER (
        PARTITION BY conversation_id
        ORDER BY sent_at, direction, message_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS session_number
    FROM ordered
  ),
  placed AS (
    SELECT
      *,
      MIN(IF(direction = 'inbound', sent_at, NULL)) OVER session AS first_inbound_at,
      MAX(IF(direction = 'inbound', sent_at, NULL)) OVER session AS last_inbound_at,
      FIRST_VALUE(direction) OVER in_order AS first_direction,
      FIRST_VALUE(sent_date) OVER in_order AS started_date
    FROM numbered
    WINDOW
      session AS (PARTITION BY conversation_id, session_number),
      in_order AS (session ORDER BY sent_at, direction, message_id)
  ),
  grouped AS (
    SELECT
      conversation_id,
      session_number,
      MIN(contact_id) AS contact_id,
      MIN(channel_id) AS channel_id,
      MIN(source) AS source,
      MIN(sent_at) AS started_at,
      MIN(started_date) AS started_date,
      MAX(sent_at) AS ended_at,
      MIN(first_direction) AS first_direction,
      COUNTIF(is_told) AS messages,
      COUNTIF(direction = 'inbound') AS inbound_messages,
      COUNTIF(direction = 'outbound') AS outbound_messages,
      MIN(first_inbound_at) AS first_inbound_at,
      MIN(IF(may_answer AND sent_at >= first_inbound_at, sent_at, NULL)) AS first_answer_at,
      COUNTIF(may_answer AND sent_at >= last_inbound_at) = 0 AND MIN(first_inbound_at) IS NOT NULL AS is_unanswered,
      MAX(window_until) AS window_until,
      COUNTIF(direction = 'outbound' AND (window_until IS NULL OR sent_at > window_until)) AS outside_window
    FROM placed
    GROUP BY conversation_id, session_number
  )
SELECT
  -- Identity of the session: the conversation and the session's number in it.
  CONCAT(conversation_id, ':', CAST(session_number AS STRING)) AS session_id,
  conversation_id,
  contact_id,
  channel_id,
  source,
  -- The how-many-th session of the conversation it is, from 1.
  session_number,
  -- Whether the conversation had an earlier session.
  session_number > 1 AS is_reopened,
  -- Who began it: inbound (the contact), outbound (we).
  first_direction AS begun_by,
  -- When its first message was sent.
  started_at,
  -- The partition of that message.
  started_date,
  -- When its last message was sent.
  ended_at,
  -- How long it was silent before; null in a first session.
  TIMESTAMP_DIFF(
    started_at, LAG(ended_at) OVER (PARTITION BY conversation_id ORDER BY session_number), MILLISECOND
  ) / 1000 AS silent_seconds,
  -- How many messages it has, of which more is known than receipts.
  messages,
  -- How many of them came from the contact.
  inbound_messages,
  -- How many went to the contact, also those that are known by their receipts alone.
  outbound_messages,
  -- Seconds from the contact's first message in it to the first of ours after it; null where there is none.
  TIMESTAMP_DIFF(first_answer_at, first_inbound_at, MILLISECOND) / 1000 AS first_response_seconds,
  -- Whether the contact's last message in it has had no answer in it.
  is_unanswered,
  -- Until when WhatsApp lets a business write freely to the contact, as far as its messages up to the session's end tell: 24
  -- hours after the last; null where that is no WhatsApp, or nothing came from the contact.
  IF(source IN ('whatsapp', 'twilio.whatsapp'), window_until, NULL) AS window_until,
  -- How many messages went out after that window, which WhatsApp lets only templates do; null where it is no WhatsApp.
  IF(source IN ('whatsapp', 'twilio.whatsapp'), outside_window, NULL) AS outside_window_messages
FROM grouped
