  -- Included by other queries, after what was exchanged: contacts' turns that began in the period, and how long each waited.
  ordered AS (
    SELECT
      *,
      LAG(direction) OVER conversation AS previous_direction,
      MIN(IF(direction = 'outbound', sent_at, NULL)) OVER (
        conversation ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
      ) AS answered_at
    FROM exchanged
    WINDOW conversation AS (PARTITION BY conversation_id ORDER BY sent_at, direction, message_id)
  ),
  turns AS (
    SELECT
      message_id,
      conversation_id,
      sent_at,
      sent_date,
      answered_at,
      TIMESTAMP_DIFF(answered_at, sent_at, MILLISECOND) / 1000 AS seconds
    FROM ordered
    WHERE
      direction = 'inbound'
      AND COALESCE(previous_direction, 'outbound') = 'outbound'
      AND sent_date BETWEEN @first_day AND @last_day
  )
