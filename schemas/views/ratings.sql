-- What contacts thought of a conversation: Google's surveys, Messenger's feedback, forms (flows) of WhatsApp with a field of
-- the name rating, csat or nps, and what a custom source reports as rating, csat or nps about a conversation or a contact.
-- A filter on rated_date prunes metadata and messages; content is read.
WITH
  facts AS (
    SELECT
      metadata_id AS rating_id,
      conversation_id,
      contact_id,
      channel_id,
      source,
      occurred_at AS rated_at,
      occurred_date AS rated_date,
      key,
      value,
      -- One question of Messenger's: what stands beside its type, up to the object that follows.
      IF(
        key = 'source.messaging_feedback',
        REGEXP_EXTRACT(content, r'\{([^{}]*"type"\s*:\s*"(?:csat|nps|ces)"[^{}]*)'),
        NULL
      ) AS question,
      IF(
        key = 'source.messaging_feedback',
        REGEXP_EXTRACT(content, r'"follow_up"\s*:\s*\{[^{}]*"payload"\s*:\s*"((?:[^"\\]|\\.)*)"'),
        NULL
      ) AS written,
      event_id
    FROM `${views}.metadata`
    WHERE
      key IN ('source.survey_response', 'source.messaging_feedback')
      OR (subject_type IN ('conversation', 'contact') AND key IN ('rating', 'csat', 'nps', 'rating.score'))
  ),
  -- Step by step: the answers are JSON in a text of JSON.
  replied AS (
    SELECT
      message_id,
      conversation_id,
      contact_id,
      channel_id,
      source,
      sent_at,
      sent_date,
      SAFE.PARSE_JSON(content, wide_number_mode => 'round') AS body,
      event_id
    FROM `${views}.messages`
    WHERE source = 'whatsapp' AND direction = 'inbound' AND STRPOS(content, 'nfm_reply') > 0
  ),
  answered AS (
    SELECT *, REGEXP_EXTRACT(JSON_VALUE(body, '$$.interactive.nfm_reply.response_json'), r'(?s)^\s*(\{.*\})\s*$$') AS response
    FROM replied
  ),
  forms AS (
    SELECT *, SAFE.PARSE_JSON(response, wide_number_mode => 'round') AS answers
    FROM answered
  ),
  remarks AS (
    -- Written as JSON writes it; read as JSON, so that escapes are what they stand for.
    SELECT *, CONCAT('{"text":"', written, '"}') AS remark
    FROM facts
  ),
  told AS (
    SELECT
      rating_id,
      conversation_id,
      contact_id,
      channel_id,
      source,
      rated_at,
      rated_date,
      CASE
        WHEN key = 'source.survey_response' THEN 'satisfaction'
        WHEN key = 'source.messaging_feedback' THEN REGEXP_EXTRACT(question, r'"type"\s*:\s*"([a-z]+)"')
        WHEN key = 'rating.score' THEN 'rating'
        ELSE key
      END AS scale,
      IF(
        key = 'source.messaging_feedback',
        REGEXP_EXTRACT(question, r'"payload"\s*:\s*"?([^",]+)'),
        value
      ) AS answer,
      JSON_VALUE(SAFE.PARSE_JSON(remark, wide_number_mode => 'round'), '$$.text') AS remark,
      event_id
    FROM remarks
    UNION ALL
    SELECT
      message_id,
      conversation_id,
      contact_id,
      channel_id,
      source,
      sent_at,
      sent_date,
      CASE
        WHEN JSON_VALUE(answers, '$$.rating') IS NOT NULL THEN 'rating'
        WHEN JSON_VALUE(answers, '$$.csat') IS NOT NULL THEN 'csat'
        WHEN JSON_VALUE(answers, '$$.nps') IS NOT NULL THEN 'nps'
      END,
      COALESCE(JSON_VALUE(answers, '$$.rating'), JSON_VALUE(answers, '$$.csat'), JSON_VALUE(answers, '$$.nps')),
      COALESCE(JSON_VALUE(answers, '$$.comment'), JSON_VALUE(answers, '$$.remark')),
      event_id
    FROM forms
  ),
  measured AS (
    SELECT
      *,
      CASE scale WHEN 'nps' THEN 0 ELSE 1 END AS lowest,
      CASE scale WHEN 'nps' THEN 10 WHEN 'ces' THEN 7 ELSE 5 END AS highest,
      COALESCE(
        SAFE_CAST(answer AS FLOAT64),
        CASE UPPER(answer)
          WHEN 'VERY_POSITIVE' THEN 5
          WHEN 'POSITIVE' THEN 4
          WHEN 'NEUTRAL' THEN 3
          WHEN 'NEGATIVE' THEN 2
          WHEN 'VERY_NEGATIVE' THEN 1
          WHEN 'YES' THEN 5
          WHEN 'NO' THEN 1
        END
      ) AS points
    FROM told
    WHERE answer IS NOT NULL AND answer != ''
  )
SELECT
  -- Identity of the rating: of its metadata, or of the message that the form was.
  rating_id,
  conversation_id,
  contact_id,
  channel_id,
  source,
  -- When it was given.
  rated_at,
  -- The partition of that time.
  rated_date,
  -- What was asked: satisfaction (Google's), csat, nps, ces, rating.
  scale,
  -- The answer as it was told.
  answer,
  -- The answer as a number: 0 to 10 of nps, 1 to 7 of ces, 1 to 5 of all others (Google's words are 1 to 5, YES 5 and NO 1),
  -- null where it is outside, or no such word.
  IF(points BETWEEN lowest AND highest, points, NULL) AS points,
  -- The same from 0 (worst) to 1 (best), so that scales can be put side by side.
  IF(points BETWEEN lowest AND highest, (points - lowest) / (highest - lowest), NULL) AS score,
  -- What the contact wrote besides; null where nothing.
  remark,
  event_id
FROM measured
