-- What was told of the replies of a conversation since a day: what was posted, and what became of it. Of some days only:
-- what a reply says is in the content, which is most of the table.
WITH
  told AS (
    SELECT *, SAFE.PARSE_JSON(content, wide_number_mode => 'round') AS body
    FROM `${views}.metadata_as_told`
    WHERE
      occurred_date BETWEEN DATE_SUB(@last_day, INTERVAL 1 DAY) AND DATE_ADD(@last_day, INTERVAL 1 DAY)
      AND conversation_id IN (${conversation_ids})
      AND subject_type = 'reply'
      AND key = 'source.reply_state'
  )
SELECT
  subject_id AS reply_id,
  value,
  occurred_at,
  occurred_date,
  received_at,
  event_id,
  COALESCE(JSON_VALUE(body, '$$.content.text'), JSON_VALUE(body, '$$.reply.content.text')) AS text,
  JSON_VALUE(body, '$$.error_code') AS error
FROM told
ORDER BY occurred_at, received_at, metadata_id
LIMIT 1000
