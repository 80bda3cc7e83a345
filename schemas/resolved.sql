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
    FROM `${views}.${told}` AS told
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
