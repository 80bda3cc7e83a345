-- Who answered: each outbound message once, with whether a human, a bot or a system wrote it, as far as anybody tells. A reply
-- of Parley's says it itself, a custom source by the message's metadata actor.kind; an echo by its app_id, whose kind is in
-- actor_names; without one, Messenger's echoes are from the Page's inbox, and WhatsApp's from the business's app. What else goes
-- out is by whom the conversation was last passed to. Nobody's is null, and in no figure of humans or bots.
-- A filter on sent_date prunes the messages; metadata are read in all partitions.
WITH
  outbound AS (
    SELECT
      * EXCEPT (content),
      IF('echo' IN UNNEST(flags), content, NULL) AS echoed
    FROM `${views}.messages`
    WHERE direction = 'outbound'
  ),
  parsed AS (
    SELECT *, SAFE.PARSE_JSON(echoed, wide_number_mode => 'round') AS body
    FROM outbound
  ),
  told AS (
    SELECT
      message_id,
      conversation_id,
      contact_id,
      channel_id,
      source,
      sender_id,
      sent_at,
      sent_date,
      echoed IS NOT NULL AS is_echo,
      -- What is no strict JSON, as a text with half an emoji, tells its app all the same.
      IF(body IS NULL, REGEXP_EXTRACT(echoed, r'"app_id"\s*:\s*"?([0-9]+)'), JSON_VALUE(body, '$$.message.app_id')) AS app_id
    FROM parsed
  ),
  replied AS (
    SELECT message_id, MIN(actor_kind) AS kind, MIN(actor_id) AS id, MIN(actor_name) AS name
    FROM `${views}.replies`
    WHERE message_id IS NOT NULL AND actor_kind IS NOT NULL
    GROUP BY message_id
  ),
  stated AS (
    SELECT
      subject_id AS message_id,
      MIN(IF(key = 'actor.kind', LOWER(value), NULL)) AS kind,
      MIN(IF(key = 'actor.id', value, NULL)) AS id,
      MIN(IF(key = 'actor.name', value, NULL)) AS name
    FROM `${views}.metadata`
    WHERE subject_type = 'message' AND key IN ('actor.kind', 'actor.id', 'actor.name')
    GROUP BY subject_id
  ),
  -- Of each stretch from one handover to the next, who has the conversation.
  held AS (
    SELECT
      conversation_id,
      to_id,
      to_kind,
      handed_at,
      LEAD(handed_at) OVER (PARTITION BY conversation_id ORDER BY handed_at, handover_id) AS until_at
    FROM `${views}.handovers`
    WHERE kind IN ('passed', 'taken') AND conversation_id IS NOT NULL
  ),
  known AS (
    SELECT
      told.*,
      COALESCE(replied.kind, stated.kind) AS kind,
      COALESCE(
        replied.id,
        stated.id,
        told.app_id,
        IF(told.is_echo AND told.source IN ('facebook', 'instagram'), NULL, told.sender_id)
      ) AS own_id,
      COALESCE(replied.name, stated.name) AS own_name,
      CASE
        WHEN replied.kind IS NOT NULL THEN 'reply'
        WHEN stated.kind IS NOT NULL THEN 'source'
        WHEN told.app_id IS NOT NULL THEN 'app'
        WHEN told.is_echo AND told.source = 'facebook' THEN 'inbox'
        WHEN told.is_echo AND told.source = 'whatsapp' THEN 'business app'
        -- To whom nobody has given a name is nobody that is known, and hides no sender who is.
        WHEN held.to_kind IS NOT NULL THEN 'handover'
        ELSE 'sender'
      END AS said_by,
      held.to_id AS held_by
    FROM told
    LEFT JOIN replied ON replied.message_id = told.message_id
    LEFT JOIN stated ON stated.message_id = told.message_id
    LEFT JOIN held
      ON
        held.conversation_id = told.conversation_id
        AND held.handed_at <= told.sent_at
        AND (held.until_at IS NULL OR told.sent_at < held.until_at)
  ),
  identified AS (
    SELECT
      *,
      IF(said_by = 'handover', held_by, COALESCE(own_id, IF(said_by = 'sender', held_by, NULL))) AS actor_id
    FROM known
    WHERE TRUE
    -- A message may be told in two partitions; it is one all the same.
    QUALIFY ROW_NUMBER() OVER (PARTITION BY sent_date, message_id ORDER BY sent_at, held_by) = 1
  ),
  named AS (
    SELECT
      identified.*,
      names.kind AS named_kind,
      names.name AS given_name
    FROM identified
    LEFT JOIN `${views}.actor_names` AS names
      ON names.actor_id = identified.actor_id AND (names.source IS NULL OR names.source = identified.source)
    WHERE TRUE
    QUALIFY
      ROW_NUMBER() OVER (
        PARTITION BY identified.sent_date, identified.message_id
        ORDER BY IF(names.source IS NULL, 1, 0), names.kind, names.name
      ) = 1
  ),
  judged AS (
    SELECT
      *,
      COALESCE(
        IF(kind IN ('human', 'bot', 'system'), kind, NULL),
        named_kind,
        IF(said_by IN ('inbox', 'business app'), 'human', NULL)
      ) AS actor_kind
    FROM named
  )
SELECT
  message_id,
  conversation_id,
  contact_id,
  channel_id,
  source,
  sent_at,
  sent_date,
  -- human, bot or system; null where nobody says.
  actor_kind,
  -- The id of who wrote it: the caller's own, the echo's app_id, or the source's id of the sender; null where none was told.
  actor_id,
  -- The name, as it was told or as actor_names has it; null where there is none.
  COALESCE(
    own_name, given_name, CASE said_by WHEN 'inbox' THEN 'Page inbox' WHEN 'business app' THEN 'WhatsApp Business app' END
  ) AS actor_name,
  -- How that is known: reply, source (a custom source states it), app (the echo's app_id), inbox, business app, handover, sender
  -- (the sender's id is in actor_names); null where nobody says.
  IF(actor_kind IS NULL, NULL, said_by) AS known_by
FROM judged
