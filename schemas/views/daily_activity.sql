-- What happened each day on each channel.
-- A filter on sent_date prunes.
SELECT
  sent_date,
  source,
  channel_id,
  COUNT(*) AS messages,  -- How many messages came or went.
  COUNTIF(direction = 'inbound') AS inbound_messages,  -- How many of them came from contacts.
  COUNTIF(direction = 'outbound') AS outbound_messages,  -- How many of them went to contacts.
  COUNT(DISTINCT conversation_id) AS conversations,  -- How many conversations had messages.
  COUNT(DISTINCT contact_id) AS contacts,  -- How many contacts wrote or were written to.
  COUNT(DISTINCT IF(direction = 'inbound', contact_id, NULL)) AS writing_contacts,  -- How many contacts wrote.
  MIN(sent_at) AS first_message_at,  -- When the first message of the day was sent.
  MAX(sent_at) AS last_message_at  -- When the last message of the day was sent.
FROM `${views}.messages`
GROUP BY sent_date, source, channel_id
