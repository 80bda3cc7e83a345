-- Sessions that began in the period, as the view conversation_report has them, all and by source: what came up to seven days
-- before makes one reopened, what comes up to eight days after it says whether it stayed resolved.
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
  bounds AS (
    SELECT
      *,
      LEAD(started_at) OVER (PARTITION BY conversation_id ORDER BY session_number) AS next_started_at,
      MIN(IF(begun_by = 'inbound', started_at, NULL)) OVER (
        PARTITION BY conversation_id ORDER BY session_number ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
      ) AS came_back_at,
      MAX(ended_at) OVER () AS known_until
    FROM reported_sessions
  ),
  chosen AS (
    SELECT *
    FROM bounds
    WHERE started_date BETWEEN @first_day AND @last_day AND (@source = '' OR source = @source)
  ),
  closed AS (
    SELECT chosen.session_id, MIN(told.occurred_at) AS closed_at
    FROM chosen
    INNER JOIN reported_metadata AS told
      ON
        told.conversation_id = chosen.conversation_id
        AND told.occurred_at >= chosen.started_at
        AND told.occurred_at < COALESCE(chosen.next_started_at, TIMESTAMP '9999-12-31 00:00:00+00')
    WHERE
      told.subject_type = 'conversation'
      AND told.key IN ('status', 'state', 'conversation.status')
      AND LOWER(told.value) IN ('closed', 'resolved', 'solved', 'done')
    GROUP BY chosen.session_id
  ),
  judged AS (
    SELECT
      chosen.*,
      closed.closed_at,
      CASE
        WHEN chosen.is_unanswered THEN NULL
        WHEN chosen.came_back_at < TIMESTAMP_ADD(COALESCE(closed.closed_at, chosen.ended_at), INTERVAL 168 HOUR) THEN FALSE
        WHEN chosen.known_until >= TIMESTAMP_ADD(COALESCE(closed.closed_at, chosen.ended_at), INTERVAL 168 HOUR) THEN TRUE
      END AS is_resolved
    FROM chosen
    LEFT JOIN closed ON closed.session_id = chosen.session_id
  ),
  labelled AS (
    SELECT judged.*, judged.source AS of_source
    FROM judged
    UNION ALL
    SELECT judged.*, '' AS of_source
    FROM judged
  )
SELECT
  of_source,
  COUNT(*) AS sessions,
  COUNTIF(is_reopened) AS reopened,
  COUNTIF(is_unanswered) AS unanswered,
  COUNT(closed_at) AS closed,
  COUNTIF(is_resolved) AS resolved,
  COUNTIF(NOT is_resolved) AS came_back,
  APPROX_QUANTILES(first_response_seconds, 100)[OFFSET(50)] AS median,
  APPROX_QUANTILES(first_response_seconds, 100)[OFFSET(90)] AS p90
FROM labelled
GROUP BY of_source
ORDER BY sessions DESC, of_source
LIMIT 200
