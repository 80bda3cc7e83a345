-- Each message as it stands now: text after the last edit, whether it was deleted, how far it came, its reactions.
-- A filter on sent_date prunes the messages. Metadata about them are looked for in all partitions of metadata, since
-- they may come on any later day; of reactions content is read, where rows of the first generations have who reacted.
WITH
  edits AS (
    SELECT
      subject_id AS message_id,
      value AS text,
      occurred_at AS edited_at,
      COUNT(DISTINCT metadata_id) OVER (PARTITION BY subject_id) AS edits
    FROM `${views}.metadata_as_told`
    -- What tells no new text does not change the text.
    WHERE subject_type = 'message' AND key = 'source.edited' AND value != ''
    QUALIFY
      ROW_NUMBER() OVER (
        PARTITION BY subject_id
        -- Of those that one webhook tells of one second, the one that it tells last.
        ORDER BY occurred_at DESC, received_at DESC, event_id DESC, LENGTH(pointer) DESC, pointer DESC, metadata_id
      ) = 1
  ),
  deletions AS (
    SELECT subject_id AS message_id, MIN(occurred_at) AS deleted_at
    FROM `${views}.metadata_as_told`
    WHERE
      subject_type = 'message'
      AND (
        (key = 'source.deleted' AND value = 'true') OR (key = 'source.delivery_state' AND value = 'deleted')
      )
    GROUP BY subject_id
  ),
  -- Whoever reacts by a phone number, and again by a user id, is one actor.
  actors AS (
    SELECT source, source_contact_id, MIN(resolved_source_contact_id) AS resolved_source_contact_id
    FROM `${views}.identities`
    GROUP BY source, source_contact_id
  ),
  told_reactions AS (
    SELECT
      * EXCEPT (actor_id, content, told),
      -- Rows of the first generations have it in the content alone.
      COALESCE(actor_id, JSON_VALUE(told, '$$.sender.id'), JSON_VALUE(told, '$$.from')) AS actor_id
    FROM
      (
        SELECT *, IF(generation < 3, SAFE.PARSE_JSON(content, wide_number_mode => 'round'), NULL) AS told
        FROM `${views}.metadata_as_told`
        WHERE subject_type = 'message' AND key = 'reaction.emoji'
      )
  ),
  latest_reactions AS (
    SELECT
      told.subject_id AS message_id,
      COALESCE(actors.resolved_source_contact_id, told.actor_id) AS actor_id,
      told.value AS emoji,
      told.occurred_at AS reacted_at
    FROM told_reactions AS told
    LEFT JOIN actors ON actors.source = told.source AND actors.source_contact_id = told.actor_id
    WHERE TRUE
    QUALIFY
      ROW_NUMBER() OVER (
        PARTITION BY told.subject_id, COALESCE(actors.resolved_source_contact_id, told.actor_id)
        ORDER BY
          told.occurred_at DESC,
          told.received_at DESC,
          told.event_id DESC,
          LENGTH(told.pointer) DESC,
          told.pointer DESC,
          told.metadata_id
      ) = 1
  ),
  reactions AS (
    SELECT
      message_id,
      ARRAY_AGG(
        STRUCT(emoji AS emoji, actor_id AS actor_id, reacted_at AS reacted_at) ORDER BY reacted_at, actor_id
      ) AS reactions
    FROM latest_reactions
    WHERE emoji != ''
    GROUP BY message_id
  ),
  watermarks AS (
    SELECT
      subject_id AS conversation_id,
      key,
      SAFE_CAST(value AS TIMESTAMP) AS up_to,
      MIN(occurred_at) AS occurred_at
    FROM `${views}.metadata`
    WHERE key IN ('source.delivered_watermark', 'source.read_watermark')
    GROUP BY subject_id, key, up_to
  ),
  -- A watermark covers what was sent since the one below it, from the first time that one as high was told.
  covers AS (
    SELECT
      conversation_id,
      key,
      LAG(up_to, 1, TIMESTAMP '1970-01-01 00:00:00+00') OVER rising AS since,
      up_to,
      MIN(occurred_at) OVER (PARTITION BY conversation_id, key ORDER BY up_to DESC) AS covered_at
    FROM watermarks
    WHERE up_to IS NOT NULL
    WINDOW rising AS (PARTITION BY conversation_id, key ORDER BY up_to)
  ),
  told AS (
    SELECT
      message.* EXCEPT (text),
      message.text AS first_text,
      edits.text AS edited_text,
      edits.edited_at,
      edits.edits,
      deletions.deleted_at,
      states.state,
      states.delivered_at,
      states.read_at,
      states.failed_at,
      states.error,
      reactions.reactions,
      IF(message.direction = 'outbound', delivered.covered_at, NULL) AS delivered_by_watermark_at,
      IF(message.direction = 'outbound', seen.covered_at, NULL) AS read_by_watermark_at
    FROM `${views}.message_texts` AS message
    LEFT JOIN edits ON edits.message_id = message.message_id
    LEFT JOIN deletions ON deletions.message_id = message.message_id
    LEFT JOIN `${views}.delivery_states` AS states ON states.message_id = message.message_id
    LEFT JOIN reactions ON reactions.message_id = message.message_id
    LEFT JOIN covers AS delivered
      ON
        delivered.conversation_id = message.conversation_id
        AND delivered.key = 'source.delivered_watermark'
        AND message.sent_at > delivered.since
        AND message.sent_at <= delivered.up_to
    LEFT JOIN covers AS seen
      ON
        seen.conversation_id = message.conversation_id
        AND seen.key = 'source.read_watermark'
        AND message.sent_at > seen.since
        AND message.sent_at <= seen.up_to
  )
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
  sent_date,
  -- What the message says now; null where it was deleted.
  IF(deleted_at IS NULL, COALESCE(edited_text, first_text), NULL) AS text,
  -- What was chosen; null where it was deleted.
  IF(deleted_at IS NULL, choice, NULL) AS choice,
  reply_to_source_message_id,
  reply_to_story_id,
  reply_to_story_url,
  -- What came with it; nothing where it was deleted.
  IF(deleted_at IS NULL, attachments, []) AS attachments,
  -- How often its text was changed.
  COALESCE(edits, 0) AS edits,
  -- When its text was last changed; null where it never was.
  edited_at,
  -- Whether it was deleted or unsent.
  deleted_at IS NOT NULL AS is_deleted,
  -- When it was first told to be deleted; null where it was not.
  deleted_at,
  -- The furthest state that was told of it, or of all messages up to its time; null where none was.
  CASE
    WHEN state IN ('read', 'seen', 'played', 'failed', 'undelivered', 'canceled') THEN state
    WHEN read_by_watermark_at IS NOT NULL THEN 'read'
    WHEN delivered_by_watermark_at IS NOT NULL THEN 'delivered'
    ELSE state
  END AS delivery_state,
  -- When it was first told to be delivered; null where it was not.
  LEAST(
    COALESCE(delivered_at, delivered_by_watermark_at), COALESCE(delivered_by_watermark_at, delivered_at)
  ) AS delivered_at,
  -- When it was first told to be read; null where it was not.
  LEAST(COALESCE(read_at, read_by_watermark_at), COALESCE(read_by_watermark_at, read_at)) AS read_at,
  -- When it was first told to have failed; null where it was not.
  failed_at,
  -- The source's code of what went wrong; null where nothing did.
  error AS delivery_error,
  -- Reactions that stand: emoji, the source's id of who reacted, and when.
  IFNULL(reactions, []) AS reactions,
  flags,
  event_id,
  received_at
FROM told
