-- Each reply that was posted to be sent, or that others have reported, with what became of it. What was accepted is also in
-- messages, with its receipts in messages_current. Reads all partitions of metadata: an outcome counts on whatever day it
-- comes.
WITH
  told AS (
    SELECT
      *,
      SAFE.PARSE_JSON(content, wide_number_mode => 'round') AS body,
      -- What ends a reply outlasts what does not, in whatever order they came.
      CASE
        WHEN value IN ('posted', 'reported') THEN '0'
        WHEN value IN ('not_sent', 'in_doubt') THEN '1'
        ELSE '2'
      END AS rank
    FROM `${views}.metadata`
    WHERE subject_type = 'reply' AND key = 'source.reply_state'
  ),
  latest AS (
    SELECT *
    FROM told
    WHERE TRUE
    QUALIFY
      ROW_NUMBER() OVER (PARTITION BY subject_id ORDER BY rank DESC, occurred_at DESC, received_at DESC, metadata_id)
      = 1
  ),
  posted AS (
    SELECT *
    FROM told
    WHERE rank = '0'
    QUALIFY ROW_NUMBER() OVER (PARTITION BY subject_id ORDER BY received_at, metadata_id) = 1
  ),
  became AS (
    SELECT value AS reply_id, MIN(subject_id) AS message_id
    FROM `${views}.metadata`
    WHERE subject_type = 'message' AND key = 'source.reply'
    GROUP BY value
  )
SELECT
  -- The id that the receiver gave the reply.
  latest.subject_id AS reply_id,
  latest.source,
  latest.channel_id,
  latest.conversation_id,
  latest.contact_id,
  -- What became of it: pending (waits, or is tried again), in_doubt (may have been sent), accepted (by the provider), refused
  -- (by it), expired, dropped (stayed in doubt), reported (sent by others).
  IF(latest.value IN ('posted', 'not_sent'), 'pending', latest.value) AS state,
  -- When that came to be.
  latest.occurred_at AS state_since,
  -- When it was received; null where that event is not there.
  posted.received_at AS posted_at,
  -- Until when it may be sent; null where it does not say.
  SAFE_CAST(JSON_VALUE(posted.body, '$$.expires_at') AS TIMESTAMP) AS expires_at,
  -- The message that it became; null where it has become none.
  became.message_id,
  -- human, bot or system; null where nobody is named.
  COALESCE(JSON_VALUE(latest.body, '$$.actor.kind'), JSON_VALUE(latest.body, '$$.reply.actor.kind')) AS actor_kind,
  -- The caller's own id of who answers.
  latest.actor_id,
  -- The name of who answers.
  COALESCE(JSON_VALUE(latest.body, '$$.actor.name'), JSON_VALUE(latest.body, '$$.reply.actor.name')) AS actor_name,
  -- How many attempts were made until then; 0 where none.
  COALESCE(SAFE_CAST(JSON_VALUE(latest.body, '$$.number') AS INT64), 0) AS attempts,
  -- The provider's code of what went wrong, or a word of ours; null where nothing did.
  JSON_VALUE(latest.body, '$$.error_code') AS error,
  -- The HTTP status of the provider's last answer; null where there was none.
  SAFE_CAST(JSON_VALUE(latest.body, '$$.status') AS INT64) AS status
FROM latest
LEFT JOIN posted ON posted.subject_id = latest.subject_id
LEFT JOIN became ON became.reply_id = latest.subject_id
