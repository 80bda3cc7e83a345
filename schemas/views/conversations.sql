-- Each conversation once: with whom, on which channel, and how many messages it has.
-- Counts are counts of the view messages, so they cannot drift from it. Reads all partitions, but no content.
WITH
  sightings AS (
    SELECT *
    FROM `${rows}.conversations`
    WHERE TRUE
    QUALIFY generation = MAX(generation) OVER (PARTITION BY conversation_id, event_id)
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
    FROM sightings
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER newest = 1
    WINDOW
      newest AS (PARTITION BY conversation_id ORDER BY seen_at DESC, event_id DESC, contact_id),
      latest AS (newest ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
  ),
  counts AS (
    SELECT
      conversation_id,
      COUNT(DISTINCT message_id) AS messages,
      COUNT(DISTINCT IF(direction = 'inbound', message_id, NULL)) AS inbound_messages,
      COUNT(DISTINCT IF(direction = 'outbound', message_id, NULL)) AS outbound_messages,
      MIN(sent_at) AS first_message_at,
      MAX(sent_at) AS last_message_at
    FROM `${views}.messages`
    GROUP BY conversation_id
  )
SELECT
  conversation_id,
  channel_id,
  contact_id,  -- The person that it is with: the latest that was told.
  source,
  source_conversation_id,
  first_seen_at,  -- The earliest time at which the source spoke of the conversation.
  last_seen_at,  -- The latest time at which the source spoke of the conversation.
  COALESCE(messages, 0) AS messages,  -- How many messages it has.
  COALESCE(inbound_messages, 0) AS inbound_messages,  -- How many of them came from the contact.
  COALESCE(outbound_messages, 0) AS outbound_messages,  -- How many of them went to the contact.
  first_message_at,  -- When its first message was sent; null where there is none.
  last_message_at  -- When its last message was sent; null where there is none.
FROM merged
LEFT JOIN counts USING (conversation_id)
