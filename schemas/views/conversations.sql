-- Each conversation once: with whom, on which channel, and how many messages it has. Whoever is known by several ids in
-- a source is one contact, and all that is said with one on a channel is one conversation (the view identities).
-- Counts are counts of the view messages, so they cannot drift from it. Who waits for an answer, and how long the first
-- took, also heeds answers that are known by their receipts alone (messages_by_receipt), and none that failed. Reads all
-- partitions, but no content.
WITH
  known AS (
    SELECT
      sightings.*,
      identities.resolved_contact_id,
      identities.resolved_source_contact_id,
      -- A group, or a ticket, has an id of its own and stays what it is.
      COALESCE(sightings.source_conversation_id = identities.source_contact_id, FALSE) AS is_own,
      TO_HEX(
        SHA1(
          FROM_HEX(
            CONCAT(
              '1f19de65bcc8564ca0ceae43aa7e8dfa',
              TO_HEX(CAST(CONCAT('12:conversation,36:', sightings.channel_id, ',') AS BYTES)),
              TO_HEX(CAST(CONCAT(CAST(BYTE_LENGTH(CAST(identities.resolved_source_contact_id AS BYTES)) AS STRING), ':') AS BYTES)),
              TO_HEX(CAST(CONCAT(identities.resolved_source_contact_id, ',') AS BYTES))
            )
          )
        )
      ) AS resolved
    FROM `${views}.counted_conversations` AS sightings
    LEFT JOIN `${views}.identities` AS identities ON identities.contact_id = sightings.contact_id
  ),
  resolved AS (
    SELECT
      * EXCEPT (conversation_id, contact_id, source_conversation_id),
      COALESCE(resolved_contact_id, contact_id) AS contact_id,
      IF(is_own, resolved_source_contact_id, source_conversation_id) AS source_conversation_id,
      IF(
        is_own,
        CONCAT(
          SUBSTR(resolved, 1, 8), '-', SUBSTR(resolved, 9, 4), '-5', SUBSTR(resolved, 14, 3), '-',
          TRANSLATE(SUBSTR(resolved, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab'), SUBSTR(resolved, 18, 3), '-',
          SUBSTR(resolved, 21, 12)
        ),
        conversation_id
      ) AS conversation_id
    FROM known
  ),
  merged AS (
    SELECT
      conversation_id,
      channel_id,
      contact_id,
      source,
      source_conversation_id,
      MIN(seen_at) OVER latest AS first_seen_at,
      MAX(seen_at) OVER latest AS last_seen_at
    FROM resolved
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER newest = 1
    WINDOW
      newest AS (PARTITION BY conversation_id ORDER BY seen_at DESC, event_id DESC, contact_id),
      latest AS (newest ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
  ),
  told AS (
    SELECT conversation_id, message_id, direction, sent_at
    FROM `${views}.messages`
    WHERE TRUE
    -- Told again in another partition, by a source without times, it would seem to be sent after its answer.
    QUALIFY ROW_NUMBER() OVER (PARTITION BY message_id ORDER BY sent_date) = 1
  ),
  failed AS (
    SELECT message_id
    FROM `${views}.delivery_states`
    WHERE state IN ('failed', 'undelivered', 'canceled')
  ),
  exchanged AS (
    SELECT told.*, told.direction = 'outbound' AND failed.message_id IS NULL AS may_answer
    FROM told
    LEFT JOIN failed ON failed.message_id = told.message_id
    UNION ALL
    -- An answer, though what it says is not known.
    SELECT conversation_id, NULL, 'outbound', sent_at, TRUE
    FROM `${views}.messages_by_receipt`
    WHERE state NOT IN ('failed', 'undelivered', 'canceled')
  ),
  placed AS (
    SELECT
      *,
      MIN(IF(direction = 'inbound', sent_at, NULL)) OVER (PARTITION BY conversation_id) AS first_inbound_at,
      MAX(IF(may_answer, sent_at, NULL)) OVER (PARTITION BY conversation_id) AS last_answer_at
    FROM exchanged
  ),
  marked AS (
    SELECT
      *,
      -- What went out at the very time of a question answers it.
      direction = 'inbound' AND (last_answer_at IS NULL OR sent_at > last_answer_at) AS is_unanswered,
      may_answer AND sent_at >= first_inbound_at AS is_answer
    FROM placed
  ),
  counts AS (
    SELECT
      conversation_id,
      COUNT(message_id) AS messages,
      COUNT(IF(direction = 'inbound', message_id, NULL)) AS inbound_messages,
      COUNT(IF(direction = 'outbound', message_id, NULL)) AS outbound_messages,
      MIN(IF(message_id IS NULL, NULL, sent_at)) AS first_message_at,
      MAX(IF(message_id IS NULL, NULL, sent_at)) AS last_message_at,
      TIMESTAMP_DIFF(
        MIN(IF(is_answer, sent_at, NULL)), MIN(first_inbound_at), MILLISECOND
      ) / 1000 AS first_response_seconds,
      MIN(IF(is_unanswered, sent_at, NULL)) AS waiting_since,
      COUNTIF(is_unanswered) AS open_questions
    FROM marked
    GROUP BY conversation_id
  )
SELECT
  conversation_id,
  channel_id,
  -- The person that it is with: the latest that was told.
  contact_id,
  source,
  source_conversation_id,
  -- The earliest time at which the source spoke of the conversation.
  first_seen_at,
  -- The latest time at which the source spoke of the conversation.
  last_seen_at,
  -- How many messages it has.
  COALESCE(messages, 0) AS messages,
  -- How many of them came from the contact.
  COALESCE(inbound_messages, 0) AS inbound_messages,
  -- How many of them went to the contact.
  COALESCE(outbound_messages, 0) AS outbound_messages,
  -- When its first message was sent; null where there is none.
  first_message_at,
  -- When its last message was sent; null where there is none.
  last_message_at,
  -- Seconds from the contact's first message to the first after it that did not fail; null where there is none.
  first_response_seconds,
  -- When the first message was sent that the contact still has no answer to; null where nobody waits.
  waiting_since,
  -- How many messages the contact sent since the last that went to the contact and did not fail.
  COALESCE(open_questions, 0) AS open_questions,
  -- Whether the contact had the last word, what failed left aside.
  waiting_since IS NOT NULL AS is_waiting
FROM merged
LEFT JOIN counts USING (conversation_id)
