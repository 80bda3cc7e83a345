-- Each message that was sent as a template of a known name, with what became of it: replies of Parley's and what others reported
-- as sent (WhatsApp's template, Twilio's ContentSid). Templates that another system sends and nobody reports are known by their
-- receipts alone, without a name: their category is in message_costs.
-- Taps, answers and receipts may come on any later day, so a filter on sent_date cannot prune; content of messages is read.
WITH
  outbound AS (
    SELECT
      message_id,
      conversation_id,
      contact_id,
      channel_id,
      source,
      source_message_id,
      sent_at,
      sent_date,
      SAFE.PARSE_JSON(content, wide_number_mode => 'round') AS body
    FROM `${views}.messages`
    WHERE
      direction = 'outbound'
      AND source IN ('whatsapp', 'twilio.whatsapp', 'twilio.sms')
      AND content_type = 'application/json'
  ),
  sent AS (
    SELECT
      * EXCEPT (body),
      COALESCE(JSON_VALUE(body, '$$.template.name'), JSON_VALUE(body, '$$.ContentSid')) AS template,
      COALESCE(JSON_VALUE(body, '$$.template.language.code'), JSON_VALUE(body, '$$.template.language')) AS language
    FROM outbound
  ),
  -- What contacts wrote: when, and which message of ours they tapped on.
  inbound AS (
    SELECT
      conversation_id,
      channel_id,
      kind,
      sent_at,
      IF(content_type = 'application/json', SAFE.PARSE_JSON(content, wide_number_mode => 'round'), NULL) AS body,
      IF(content_type = 'application/x-www-form-urlencoded', content, NULL) AS form
    FROM `${views}.messages`
    WHERE direction = 'inbound' AND source IN ('whatsapp', 'twilio.whatsapp', 'twilio.sms')
    -- Told again in another partition, by a source without times, it would seem to be an answer to what came between.
    QUALIFY ROW_NUMBER() OVER (PARTITION BY message_id ORDER BY sent_date) = 1
  ),
  taps AS (
    SELECT
      channel_id,
      COALESCE(
        JSON_VALUE(body, '$$.context.id'), REGEXP_EXTRACT(form, r'(?:^|&)OriginalRepliedMessageSid=([^&]+)')
      ) AS tapped_id,
      MIN(sent_at) AS tapped_at
    FROM inbound
    WHERE kind = 'quick_reply'
    GROUP BY channel_id, tapped_id
  ),
  answers AS (
    SELECT sent.message_id, MIN(inbound.sent_at) AS answered_at
    FROM sent
    INNER JOIN inbound
      ON inbound.conversation_id = sent.conversation_id AND inbound.sent_at >= sent.sent_at
    WHERE sent.template IS NOT NULL
    GROUP BY sent.message_id
  )
SELECT
  sent.message_id,
  sent.conversation_id,
  sent.contact_id,
  sent.channel_id,
  sent.source,
  -- The template's name; of Twilio the id of its content.
  sent.template,
  -- Its language, as it was sent; null where none was said.
  sent.language,
  sent.sent_at,
  sent.sent_date,
  -- The furthest state, as in delivery_states; null where nothing was told.
  states.state,
  -- The source's code of what went wrong; null where nothing did.
  states.error,
  -- When the contact first tapped on one of its buttons; null where nobody did.
  taps.tapped_at AS clicked_at,
  -- When the contact first wrote after it (a tap is an answer, too); null where nothing came.
  answers.answered_at,
  -- Whether that was within 24 hours.
  COALESCE(answers.answered_at <= TIMESTAMP_ADD(sent.sent_at, INTERVAL 24 HOUR), FALSE) AS is_answered_within_day
FROM sent
LEFT JOIN `${views}.delivery_states` AS states ON states.message_id = sent.message_id
LEFT JOIN taps ON taps.channel_id = sent.channel_id AND taps.tapped_id = sent.source_message_id
LEFT JOIN answers ON answers.message_id = sent.message_id
WHERE sent.template IS NOT NULL
QUALIFY ROW_NUMBER() OVER (PARTITION BY sent.sent_date, sent.message_id ORDER BY sent.sent_at) = 1
