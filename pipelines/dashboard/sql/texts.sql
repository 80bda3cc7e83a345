-- Messages as a person reads them. Both filters reach the table below the view: an array of ids would not.
SELECT
  message_id,
  conversation_id,
  contact_id,
  channel_id,
  source,
  source_message_id,
  direction,
  kind,
  sent_at,
  sent_date,
  text,
  choice,
  reply_to_source_message_id,
  attachments,
  flags,
  event_id,
  received_at
FROM (${texts})
WHERE sent_date IN (${days}) AND message_id IN (${message_ids})
ORDER BY sent_at, message_id, sent_date
LIMIT 500
