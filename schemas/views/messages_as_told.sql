-- Each message once, with its contact's and its conversation's ids as its first telling of the highest generation told
-- them: the view messages makes one contact of all that a person is in a source. The placeholder of media (a message of
-- WhatsApp's history) counts only as long as the media itself is not told.
-- A filter on sent_date prunes. A message that is told again in another partition (see sent_date) shows once in
-- each of them; COUNT(DISTINCT message_id) counts it once, and so does every view that counts messages.
SELECT
  message_id,
  conversation_id,
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
  processed_at
FROM `${rows}.messages`
WHERE TRUE
QUALIFY
  ROW_NUMBER() OVER (
    PARTITION BY sent_date, message_id
    ORDER BY
      generation DESC,
      IF('placeholder' IN UNNEST(flags), 1, 0),
      received_at,
      event_id,
      pointer,
      processed_at
  ) = 1
