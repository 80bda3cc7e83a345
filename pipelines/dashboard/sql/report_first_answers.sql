-- How soon a human and a bot first answered in sessions that began in the period, as the view conversation_report has it, all
-- and by source: answers up to a day after the period. Beside report_sessions, since who wrote is in the content.
WITH
${reported},
  reported_delivery_states AS (
${delivery_states}
  ),
  reported_messages_by_receipt AS (
${messages_by_receipt}
  ),
  reported_sessions AS (
${sessions}
  ),
  reported_handovers AS (
${handovers}
  ),
  reported_replies AS (
${replies}
  ),
  reported_actors AS (
${actors}
  ),
  bounds AS (
    SELECT
      session_id,
      conversation_id,
      source,
      started_at,
      started_date,
      COALESCE(
        LEAD(started_at) OVER (PARTITION BY conversation_id ORDER BY session_number),
        TIMESTAMP '9999-12-31 00:00:00+00'
      ) AS until_at
    FROM reported_sessions
  ),
  chosen AS (
    SELECT *
    FROM bounds
    WHERE started_date BETWEEN @first_day AND @last_day AND (@source = '' OR source = @source)
  ),
  -- What contacts wrote, and what answered: joined with the sessions once and together, since an engine that joins by times
  -- before it joins by conversations compares each with each.
  spoken AS (
    SELECT conversation_id, sent_at, FALSE AS is_answer, CAST(NULL AS STRING) AS actor_kind
    FROM reported_messages
    WHERE direction = 'inbound'
    UNION ALL
    SELECT reported_actors.conversation_id, reported_actors.sent_at, TRUE AS is_answer, reported_actors.actor_kind
    FROM reported_actors
    LEFT JOIN reported_delivery_states AS states
      ON states.message_id = reported_actors.message_id AND states.state IN ('failed', 'undelivered', 'canceled')
    WHERE states.message_id IS NULL
  ),
  placed AS (
    SELECT
      chosen.session_id,
      chosen.source,
      spoken.sent_at,
      spoken.is_answer,
      spoken.actor_kind,
      MIN(IF(spoken.is_answer, NULL, spoken.sent_at)) OVER (PARTITION BY chosen.session_id) AS first_inbound_at
    FROM chosen
    INNER JOIN spoken
      ON
        spoken.conversation_id = chosen.conversation_id
        AND spoken.sent_at >= chosen.started_at
        AND spoken.sent_at < chosen.until_at
  ),
  answered AS (
    SELECT
      session_id,
      source,
      first_inbound_at,
      MIN(IF(actor_kind = 'human', sent_at, NULL)) AS first_human_at,
      MIN(IF(actor_kind = 'bot', sent_at, NULL)) AS first_bot_at
    FROM placed
    WHERE is_answer AND sent_at >= first_inbound_at
    GROUP BY session_id, source, first_inbound_at
  ),
  waited AS (
    SELECT
      source,
      TIMESTAMP_DIFF(first_human_at, first_inbound_at, MILLISECOND) / 1000 AS human_seconds,
      TIMESTAMP_DIFF(first_bot_at, first_inbound_at, MILLISECOND) / 1000 AS bot_seconds
    FROM answered
  ),
  labelled AS (
    SELECT waited.*, waited.source AS of_source
    FROM waited
    UNION ALL
    SELECT waited.*, '' AS of_source
    FROM waited
  )
SELECT
  of_source,
  COUNT(human_seconds) AS human_sessions,
  APPROX_QUANTILES(human_seconds, 100)[OFFSET(50)] AS human_median,
  APPROX_QUANTILES(human_seconds, 100)[OFFSET(90)] AS human_p90,
  COUNT(bot_seconds) AS bot_sessions,
  APPROX_QUANTILES(bot_seconds, 100)[OFFSET(50)] AS bot_median,
  APPROX_QUANTILES(bot_seconds, 100)[OFFSET(90)] AS bot_p90
FROM labelled
GROUP BY of_source
ORDER BY human_sessions DESC, of_source
LIMIT 200
