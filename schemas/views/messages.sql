-- Each message once, as its first telling told it, whichever generation stored it; and whoever is known by several ids in a
-- source is one contact with one conversation on each channel (the view identities). The placeholder of media (a message
-- of WhatsApp's history), and a telling without content that the source calls unsupported, count only as long as the message
-- itself is not told.
-- A filter on sent_date prunes the messages; aliases are read in all partitions. With the ids as the tables have them:
-- messages_as_told. A message without a usable time of its own may be told in two partitions: from the next parley settle
-- on it shows in the first only (retold); until then it shows in both, and COUNT(DISTINCT message_id), as in every view
-- that counts messages, counts it once.
${resolved}SELECT
  message_id,
  -- The conversation that it belongs to: with one person on one channel there is one, whichever of their ids is told.
  conversation_id,
  -- The person on the other side, whatever the direction: of all that one is in the source, the one contact.
  contact_id,
  channel_id,
  source,
  source_message_id,
  direction,
  sender_id,
  kind,
  sent_at,
  sent_at_from,
  sent_at_raw,
  sent_date,
  content,
  content_type,
  pointer,
  flags,
  event_id,
  received_at,
  generation,
  reading,
  processed_at
FROM resolved
