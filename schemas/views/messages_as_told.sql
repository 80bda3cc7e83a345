-- Each message once, with its contact's and its conversation's ids as its first telling told them, whichever generation
-- stored it: the view messages makes one contact of all that a person is in a source. The placeholder of media (a message of
-- WhatsApp's history), and a telling without content that the source calls unsupported, count only as long as the message
-- itself is not told.
-- A filter on sent_date prunes. A message without a usable time of its own may be told in two partitions: from the next
-- parley settle on it shows in the first only (retold); until then it shows in both, and COUNT(DISTINCT message_id), as
-- in every view that counts messages, counts it once.
SELECT
  telling.message_id,
  telling.conversation_id,
  telling.contact_id,
  telling.channel_id,
  telling.source,
  telling.source_message_id,
  telling.direction,
  telling.sender_id,
  telling.kind,
  telling.sent_at,
  telling.sent_at_from,
  telling.sent_at_raw,
  telling.sent_date,
  telling.content,
  telling.content_type,
  telling.pointer,
  telling.flags,
  telling.event_id,
  telling.received_at,
  telling.generation,
  telling.reading,
  telling.processed_at
FROM `${views}.counted_messages` AS telling
LEFT JOIN `${views}.retold` AS retold ON retold.id = telling.message_id
WHERE retold.id IS NULL OR telling.sent_date = retold.shown_date
QUALIFY
  ROW_NUMBER() OVER (
    PARTITION BY telling.sent_date, telling.message_id
    ORDER BY
      IF('placeholder' IN UNNEST(telling.flags) OR 'unsupported' IN UNNEST(telling.flags), 1, 0),
      -- What was posted to be sent says who answered; the source's echo of it does not.
      IF('reply' IN UNNEST(telling.flags), 0, 1),
      telling.received_at,
      telling.event_id,
      telling.pointer,
      telling.processed_at
  ) = 1
