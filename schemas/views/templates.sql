-- Each template by name and language: how it stands (status, quality, category, as WhatsApp reports them), its history, and what
-- became of the messages that were sent with it (the view template_messages). Templates of one name and language are one, whatever
-- account they belong to.
WITH
  told AS (
    SELECT
      metadata_id,
      occurred_at,
      occurred_date,
      received_at,
      CASE key
        WHEN 'source.message_template_status_update' THEN 'status'
        WHEN 'source.message_template_quality_update' THEN 'quality'
        ELSE 'category'
      END AS kind,
      value,
      SAFE.PARSE_JSON(content, wide_number_mode => 'round') AS body
    FROM `${views}.metadata`
    WHERE
      key IN (
        'source.message_template_status_update',
        'source.message_template_quality_update',
        'source.template_category_update'
      )
  ),
  changes AS (
    SELECT
      metadata_id,
      occurred_at,
      received_at,
      kind,
      JSON_VALUE(body, '$$.value.message_template_id') AS template_id,
      JSON_VALUE(body, '$$.value.message_template_name') AS name,
      JSON_VALUE(body, '$$.value.message_template_language') AS language,
      COALESCE(
        CASE kind
          WHEN 'status' THEN JSON_VALUE(body, '$$.value.event')
          WHEN 'quality' THEN JSON_VALUE(body, '$$.value.new_quality_score')
          ELSE JSON_VALUE(body, '$$.value.new_category')
        END,
        value
      ) AS word,
      CASE kind
        WHEN 'quality' THEN JSON_VALUE(body, '$$.value.previous_quality_score')
        WHEN 'category' THEN JSON_VALUE(body, '$$.value.previous_category')
      END AS previous,
      -- Of a template that nothing is wrong with, WhatsApp writes the reason NONE.
      NULLIF(JSON_VALUE(body, '$$.value.reason'), 'NONE') AS reason,
      IF(
        kind = 'category',
        JSON_VALUE(body, '$$.value.new_category'),
        JSON_VALUE(body, '$$.value.message_template_category')
      ) AS category
    FROM told
    WHERE TRUE
    -- Told in two partitions, it is one all the same, also where both tell the same time.
    QUALIFY ROW_NUMBER() OVER (PARTITION BY metadata_id ORDER BY occurred_at, occurred_date) = 1
  ),
  -- Some changes name the id alone.
  named AS (
    SELECT
      *,
      COALESCE(name, MAX(name) OVER (PARTITION BY template_id), template_id) AS template,
      COALESCE(language, MAX(language) OVER (PARTITION BY template_id), '') AS spoken
    FROM changes
  ),
  standing AS (
    SELECT
      template,
      spoken,
      MAX(template_id) AS template_id,
      ARRAY_AGG(
        STRUCT(occurred_at AS changed_at, kind AS kind, word AS value, previous AS previous, reason AS reason)
        -- WhatsApp tells whole seconds.
        ORDER BY occurred_at, received_at, kind, metadata_id
      ) AS history
    FROM named
    WHERE template IS NOT NULL
    GROUP BY template, spoken
  ),
  latest_of_each AS (
    SELECT template, spoken, kind, word, occurred_at
    FROM named
    WHERE TRUE
    QUALIFY
      ROW_NUMBER() OVER (
        PARTITION BY template, spoken, kind ORDER BY occurred_at DESC, received_at DESC, metadata_id
      ) = 1
  ),
  latest AS (
    SELECT
      template,
      spoken,
      MIN(IF(kind = 'status', word, NULL)) AS status,
      MIN(IF(kind = 'status', occurred_at, NULL)) AS status_since,
      MIN(IF(kind = 'quality', word, NULL)) AS quality
    FROM latest_of_each
    GROUP BY template, spoken
  ),
  categories AS (
    SELECT template, spoken, LOWER(category) AS category
    FROM named
    WHERE category IS NOT NULL
    QUALIFY
      ROW_NUMBER() OVER (PARTITION BY template, spoken ORDER BY occurred_at DESC, received_at DESC, metadata_id) = 1
  ),
  used AS (
    SELECT
      message_id,
      template,
      COALESCE(language, '') AS spoken,
      sent_at,
      state,
      error,
      clicked_at,
      answered_at,
      is_answered_within_day
    FROM `${views}.template_messages`
    WHERE TRUE
    -- Told in two partitions, it is one all the same.
    QUALIFY ROW_NUMBER() OVER (PARTITION BY message_id ORDER BY sent_date) = 1
  ),
  failures AS (
    SELECT template, spoken, COALESCE(error, state) AS code, COUNT(*) AS messages
    FROM used
    WHERE state IN ('failed', 'undelivered', 'canceled')
    GROUP BY template, spoken, code
  ),
  errors AS (
    SELECT
      template,
      spoken,
      ARRAY_AGG(STRUCT(code AS error, messages AS messages) ORDER BY messages DESC, code) AS errors
    FROM failures
    GROUP BY template, spoken
  ),
  counts AS (
    SELECT
      template,
      spoken,
      COUNT(*) AS messages,
      COUNTIF(state IN ('sent', 'delivered', 'read', 'seen', 'played')) AS sent,
      COUNTIF(state IN ('delivered', 'read', 'seen', 'played')) AS delivered,
      COUNTIF(state IN ('read', 'seen', 'played')) AS read_messages,
      COUNTIF(state IN ('failed', 'undelivered', 'canceled')) AS failed,
      COUNTIF(clicked_at IS NOT NULL) AS clicked,
      COUNTIF(is_answered_within_day) AS answered,
      MIN(sent_at) AS first_sent_at,
      MAX(sent_at) AS last_sent_at
    FROM used
    GROUP BY template, spoken
  ),
  every AS (
    SELECT template, spoken FROM standing
    UNION DISTINCT
    SELECT template, spoken FROM counts
  )
SELECT
  -- The template's name; its id where no name was ever told, and of Twilio the id of its content.
  every.template,
  -- Its language; null where none was told.
  NULLIF(every.spoken, '') AS language,
  -- WhatsApp's id of it.
  standing.template_id,
  -- Its category by the latest change, in small letters: marketing, utility, authentication; null where none was told.
  categories.category,
  -- Its status by the latest change: APPROVED, REJECTED, PAUSED, …; null where none was told.
  latest.status,
  -- Since when.
  latest.status_since,
  -- Its quality by the latest change: GREEN, YELLOW, RED, UNKNOWN; null where none was told.
  latest.quality,
  -- Every change in order: when, of what (status, quality, category), what it became, what it was before, and why.
  IFNULL(standing.history, []) AS history,
  -- How many messages were sent with it.
  COALESCE(counts.messages, 0) AS messages,
  -- How many were sent by WhatsApp, or came further.
  COALESCE(counts.sent, 0) AS sent,
  -- How many reached the contact's device.
  COALESCE(counts.delivered, 0) AS delivered,
  -- How many the contact read.
  COALESCE(counts.read_messages, 0) AS read,
  -- How many never arrived.
  COALESCE(counts.failed, 0) AS failed,
  -- Why not: the source's code of the error, or the state where it told none, and how many.
  IFNULL(errors.errors, []) AS errors,
  -- How many had a button that the contact tapped on.
  COALESCE(counts.clicked, 0) AS clicked,
  -- After how many the contact wrote within 24 hours; a tap is an answer, too.
  COALESCE(counts.answered, 0) AS answered_within_day,
  -- When the first was sent; null where none was.
  counts.first_sent_at,
  -- When the last was sent; null where none was.
  counts.last_sent_at
FROM every
LEFT JOIN standing ON standing.template = every.template AND standing.spoken = every.spoken
LEFT JOIN latest ON latest.template = every.template AND latest.spoken = every.spoken
LEFT JOIN categories ON categories.template = every.template AND categories.spoken = every.spoken
LEFT JOIN counts ON counts.template = every.template AND counts.spoken = every.spoken
LEFT JOIN errors ON errors.template = every.template AND errors.spoken = every.spoken
