-- Each message once, as its first telling of the highest generation told it; and whoever is known by several ids in a
-- source is one contact with one conversation on each channel (the view identities). The placeholder of media (a message
-- of WhatsApp's history) counts only as long as the media itself is not told.
-- A filter on sent_date prunes the messages; aliases are read in all partitions. With the ids as the tables have them:
-- messages_as_told. A message without a usable time of its own may be told in two partitions: from the next parley settle
-- on it shows in the first only (retold); until then it shows in both, and COUNT(DISTINCT message_id), as in every view
-- that counts messages, counts it once.
WITH
  known AS (
    SELECT
      told.*,
      identities.resolved_contact_id,
      -- The names of the conversation with the contact as told, and with the contact that it is (see docs/people.md).
      TO_HEX(
        SHA1(
          FROM_HEX(
            CONCAT(
              '1f19de65bcc8564ca0ceae43aa7e8dfa',
              TO_HEX(CAST(CONCAT('12:conversation,36:', told.channel_id, ',') AS BYTES)),
              TO_HEX(CAST(CONCAT(CAST(BYTE_LENGTH(CAST(identities.source_contact_id AS BYTES)) AS STRING), ':') AS BYTES)),
              TO_HEX(CAST(CONCAT(identities.source_contact_id, ',') AS BYTES))
            )
          )
        )
      ) AS own,
      TO_HEX(
        SHA1(
          FROM_HEX(
            CONCAT(
              '1f19de65bcc8564ca0ceae43aa7e8dfa',
              TO_HEX(CAST(CONCAT('12:conversation,36:', told.channel_id, ',') AS BYTES)),
              TO_HEX(CAST(CONCAT(CAST(BYTE_LENGTH(CAST(identities.resolved_source_contact_id AS BYTES)) AS STRING), ':') AS BYTES)),
              TO_HEX(CAST(CONCAT(identities.resolved_source_contact_id, ',') AS BYTES))
            )
          )
        )
      ) AS resolved
    FROM `${views}.messages_as_told` AS told
    LEFT JOIN `${views}.identities` AS identities ON identities.contact_id = told.contact_id
  ),
  resolved AS (
    SELECT
      * EXCEPT (contact_id, conversation_id, resolved_contact_id, own, resolved),
      contact_id AS told_contact_id,
      conversation_id AS told_conversation_id,
      COALESCE(resolved_contact_id, contact_id) AS contact_id,
      IF(
        STARTS_WITH(conversation_id, CONCAT(SUBSTR(own, 1, 8), '-', SUBSTR(own, 9, 4))),
        CONCAT(
          SUBSTR(resolved, 1, 8), '-', SUBSTR(resolved, 9, 4), '-5', SUBSTR(resolved, 14, 3), '-',
          TRANSLATE(SUBSTR(resolved, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab'), SUBSTR(resolved, 18, 3), '-',
          SUBSTR(resolved, 21, 12)
        ),
        conversation_id
      ) AS conversation_id
    FROM known
  )
SELECT
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
  processed_at
FROM resolved
