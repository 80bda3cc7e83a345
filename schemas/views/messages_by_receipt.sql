-- Messages that went out through a source's API and are known by their receipts alone, as with WhatsApp and SMS.
-- Nobody told what they say, so they are not in messages; but they are answers, and failures to count. Reads all
-- partitions, but no content.
SELECT
  states.message_id,
  states.source,
  states.channel_id,
  states.conversation_id,
  -- When it was first told to be sent, else the time of the first receipt.
  COALESCE(states.sent_at, states.first_told_at) AS sent_at,
  -- The partition of the first receipt.
  states.first_told_date AS sent_date,
  states.state,
  states.error
FROM `${views}.delivery_states` AS states
LEFT JOIN `${views}.messages_as_told` AS message ON message.message_id = states.message_id
WHERE message.message_id IS NULL
