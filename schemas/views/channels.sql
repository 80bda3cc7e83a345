-- Each channel once: the latest name that came, when it was seen, and what came and went through it.
-- Counts are counts of the view messages, so they cannot drift from it. Reads all partitions, but no content.
WITH
  profiles AS (
    SELECT
      channel_id,
      source,
      source_channel_id,
      FIRST_VALUE(display_name IGNORE NULLS) OVER latest AS display_name,
      MIN(seen_at) OVER latest AS first_seen_at,
      MAX(seen_at) OVER latest AS last_seen_at
    FROM `${views}.counted_channels`
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER newest = 1
    WINDOW
      newest AS (PARTITION BY channel_id ORDER BY seen_at DESC, event_id DESC, display_name),
      latest AS (newest ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
  ),
  counts AS (
    SELECT
      channel_id,
      COUNT(DISTINCT contact_id) AS contacts,
      COUNT(DISTINCT conversation_id) AS conversations,
      COUNT(DISTINCT message_id) AS messages,
      COUNT(DISTINCT IF(direction = 'inbound', message_id, NULL)) AS inbound_messages,
      COUNT(DISTINCT IF(direction = 'outbound', message_id, NULL)) AS outbound_messages,
      MIN(sent_at) AS first_message_at,
      MAX(sent_at) AS last_message_at
    FROM `${views}.messages`
    GROUP BY channel_id
  )
SELECT
  channel_id,
  source,
  source_channel_id,
  -- Name or number of the channel: the latest that came.
  display_name,
  -- The earliest time at which the source spoke of the channel.
  first_seen_at,
  -- The latest time at which the source spoke of the channel.
  last_seen_at,
  -- How many contacts have messages on it.
  COALESCE(contacts, 0) AS contacts,
  -- How many conversations on it have messages.
  COALESCE(conversations, 0) AS conversations,
  -- How many messages came or went through it.
  COALESCE(messages, 0) AS messages,
  -- How many of them came from contacts.
  COALESCE(inbound_messages, 0) AS inbound_messages,
  -- How many of them went to contacts.
  COALESCE(outbound_messages, 0) AS outbound_messages,
  -- When the first message was sent; null where there is none.
  first_message_at,
  -- When the last message was sent; null where there is none.
  last_message_at
FROM profiles
LEFT JOIN counts USING (channel_id)
