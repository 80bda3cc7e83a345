-- How long contacts waited for turns that began in the period, as overview.sql has them: all, by source, and by weekday and
-- hour of the reader's clock; on demand of each wait only the part that lies in business hours.
WITH
${exchanged},
${turns},
  -- Seconds of the reader's clock since a Monday.
  clocked AS (
    SELECT
      told.source,
      turns.seconds,
      DATE_DIFF(DATE(turns.sent_at, @zone), DATE '1990-01-01', DAY) * 86400
      + TIME_DIFF(TIME(turns.sent_at, @zone), TIME '00:00:00', SECOND) AS asked,
      DATE_DIFF(DATE(turns.answered_at, @zone), DATE '1990-01-01', DAY) * 86400
      + TIME_DIFF(TIME(turns.answered_at, @zone), TIME '00:00:00', SECOND) AS answered
    FROM turns
    INNER JOIN told ON told.message_id = turns.message_id
  ),
  -- How much of that was business hours: whole weeks, days of the week that has begun, and the day that has begun.
  worked AS (
    SELECT
      *,
      (
        DIV(asked, 604800) * LENGTH(REPLACE(@workdays, '0', ''))
        + LENGTH(REPLACE(SUBSTR(@workdays, 1, DIV(MOD(asked, 604800), 86400)), '0', ''))
      ) * (@closes - @opens)
      + IF(
        SUBSTR(@workdays, DIV(MOD(asked, 604800), 86400) + 1, 1) = '1',
        GREATEST(LEAST(MOD(asked, 86400), @closes) - @opens, 0),
        0
      ) AS worked_asked,
      (
        DIV(answered, 604800) * LENGTH(REPLACE(@workdays, '0', ''))
        + LENGTH(REPLACE(SUBSTR(@workdays, 1, DIV(MOD(answered, 604800), 86400)), '0', ''))
      ) * (@closes - @opens)
      + IF(
        SUBSTR(@workdays, DIV(MOD(answered, 604800), 86400) + 1, 1) = '1',
        GREATEST(LEAST(MOD(answered, 86400), @closes) - @opens, 0),
        0
      ) AS worked_answered
    FROM clocked
  ),
  waited AS (
    SELECT
      source,
      CAST(DIV(MOD(asked, 604800), 86400) AS STRING) AS weekday,
      CAST(DIV(MOD(asked, 86400), 3600) AS STRING) AS hour,
      -- Where a clock is set back, an answer may come before the question by that clock.
      IF(@in_business_hours, CAST(GREATEST(worked_answered - worked_asked, 0) AS FLOAT64), seconds) AS seconds
    FROM worked
  )
SELECT
  part.dimension,
  part.value,
  COUNT(*) AS turns,
  COUNTIF(waited.seconds IS NULL) AS unanswered,
  APPROX_QUANTILES(waited.seconds, 100)[OFFSET(50)] AS median,
  APPROX_QUANTILES(waited.seconds, 100)[OFFSET(90)] AS p90
FROM waited
CROSS JOIN
  UNNEST(
    [
      STRUCT('all' AS dimension, '' AS value),
      STRUCT('source' AS dimension, waited.source AS value),
      STRUCT('weekday' AS dimension, waited.weekday AS value),
      STRUCT('hour' AS dimension, waited.hour AS value)
    ]
  ) AS part
GROUP BY part.dimension, part.value
ORDER BY dimension, value
LIMIT 500
