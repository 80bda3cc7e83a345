-- Each contact once, and once whoever is known by several ids in a source (the view identities): of each field of the
-- profile the latest that was told, and how many messages there are.
-- Counts are counts of the view messages, so they cannot drift from it. Reads all partitions, but no content.
WITH
  resolved AS (
    SELECT
      sightings.* EXCEPT (contact_id, source_contact_id),
      sightings.source_contact_id AS told_source_contact_id,
      COALESCE(identities.resolved_contact_id, sightings.contact_id) AS contact_id,
      COALESCE(identities.resolved_source_contact_id, sightings.source_contact_id) AS source_contact_id
    FROM `${views}.counted_contacts` AS sightings
    LEFT JOIN `${views}.identities` AS identities ON identities.contact_id = sightings.contact_id
  ),
  profiles AS (
    SELECT
      contact_id,
      source,
      source_contact_id,
      FIRST_VALUE(display_name IGNORE NULLS) OVER latest AS display_name,
      FIRST_VALUE(username IGNORE NULLS) OVER latest AS username,
      FIRST_VALUE(phone_number IGNORE NULLS) OVER latest AS phone_number,
      FIRST_VALUE(phone_e164 IGNORE NULLS) OVER latest AS phone_e164,
      FIRST_VALUE(locale IGNORE NULLS) OVER latest AS locale,
      FIRST_VALUE(time_zone IGNORE NULLS) OVER latest AS time_zone,
      FIRST_VALUE(avatar_url IGNORE NULLS) OVER latest AS avatar_url,
      MIN(seen_at) OVER latest AS first_seen_at,
      MAX(seen_at) OVER latest AS last_seen_at
    FROM resolved
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER newest = 1
    WINDOW
      newest AS (PARTITION BY contact_id ORDER BY seen_at DESC, event_id DESC, display_name),
      latest AS (newest ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
  ),
  reached AS (
    SELECT
      contact_id,
      ARRAY_AGG(DISTINCT channel_id ORDER BY channel_id) AS channel_ids,
      ARRAY_AGG(DISTINCT told_source_contact_id ORDER BY told_source_contact_id) AS source_contact_ids
    FROM resolved
    GROUP BY contact_id
  ),
  aliases AS (
    SELECT contact_id, ARRAY_AGG(DISTINCT alternative_id ORDER BY alternative_id) AS alternative_ids
    FROM resolved
    CROSS JOIN UNNEST(alternative_ids) AS alternative_id
    GROUP BY contact_id
  ),
  counts AS (
    SELECT
      contact_id,
      COUNT(DISTINCT conversation_id) AS conversations,
      COUNT(DISTINCT message_id) AS messages,
      COUNT(DISTINCT IF(direction = 'inbound', message_id, NULL)) AS inbound_messages,
      COUNT(DISTINCT IF(direction = 'outbound', message_id, NULL)) AS outbound_messages,
      MIN(sent_at) AS first_message_at,
      MAX(sent_at) AS last_message_at
    FROM `${views}.messages`
    GROUP BY contact_id
  )
SELECT
  contact_id,
  source,
  -- The source's own id of the person: of several, a phone number where there is one.
  source_contact_id,
  -- Every id by which the source knew the person: more than one where aliases link them.
  source_contact_ids,
  -- Name: the latest that was told; null where the source tells none (Messenger and Instagram).
  display_name,
  -- Handle on the source: the latest that was told.
  username,
  -- Phone number in the source's notation: the latest that was told.
  phone_number,
  -- The latest phone number in E.164, in its one spelling; null where none was told.
  phone_e164,
  -- Locale: the latest that was told.
  locale,
  -- Time zone: the latest that was told.
  time_zone,
  -- Address of the person's picture: the latest that was told.
  avatar_url,
  -- Every further id that was told, each as name=value.
  COALESCE(alternative_ids, ARRAY<STRING>[]) AS alternative_ids,
  -- The channels on which the person was seen.
  channel_ids,
  -- The earliest time at which the source spoke of the person.
  first_seen_at,
  -- The latest time at which the source spoke of the person.
  last_seen_at,
  -- How many conversations with the person have messages.
  COALESCE(conversations, 0) AS conversations,
  -- How many messages there are with the person.
  COALESCE(messages, 0) AS messages,
  -- How many of them the person sent.
  COALESCE(inbound_messages, 0) AS inbound_messages,
  -- How many of them went to the person.
  COALESCE(outbound_messages, 0) AS outbound_messages,
  -- When the first message was sent; null where there is none.
  first_message_at,
  -- When the last message was sent; null where there is none.
  last_message_at
FROM profiles
INNER JOIN reached USING (contact_id)
LEFT JOIN aliases USING (contact_id)
LEFT JOIN counts USING (contact_id)
