-- Messages that went out through a source's API and are known by their receipts alone, as with WhatsApp and SMS.
-- Nobody told what they say, so they are not in messages; but they are answers, and failures to count. Of what WhatsApp tells
-- as deleted and nothing else, the contact wrote it; and what is told to be read and nothing else was sent before anybody told
-- of it: these are none of them. Reads all partitions, but no content.
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
WHERE
  message.message_id IS NULL
  AND states.state != 'deleted'
  AND (
    states.read_at IS NULL
    OR states.first_told_at < states.read_at
    OR COALESCE(states.sent_at, states.delivered_at, states.failed_at) IS NOT NULL
  )
