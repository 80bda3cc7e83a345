-- What happened each day on each channel.
-- A filter on sent_date prunes.
SELECT
  sent_date,
  source,
  channel_id,
  -- How many messages came or went.
  COUNT(*) AS messages,
  -- How many of them came from contacts.
  COUNTIF(direction = 'inbound') AS inbound_messages,
  -- How many of them went to contacts.
  COUNTIF(direction = 'outbound') AS outbound_messages,
  -- How many conversations had messages.
  COUNT(DISTINCT conversation_id) AS conversations,
  -- How many contacts wrote or were written to.
  COUNT(DISTINCT contact_id) AS contacts,
  -- How many contacts wrote.
  COUNT(DISTINCT IF(direction = 'inbound', contact_id, NULL)) AS writing_contacts,
  -- When the first message of the day was sent.
  MIN(sent_at) AS first_message_at,
  -- When the last message of the day was sent.
  MAX(sent_at) AS last_message_at
FROM `${views}.messages`
GROUP BY sent_date, source, channel_id
