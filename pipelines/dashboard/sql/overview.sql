-- What the overview counts of what was exchanged: one question, since each of its panels would read the same rows again.
WITH
${exchanged},
${turns},
${outbound},
  chosen AS (
    SELECT *
    FROM told
    WHERE sent_date BETWEEN @first_day AND @last_day
  ),
  funnel AS (
    SELECT
      source,
      COUNT(*) AS messages,
      COUNTIF(rank IN (4, 6, 7)) AS sent,
      COUNTIF(rank IN (6, 7)) AS delivered,
      COUNTIF(rank = 7) AS read,
      COUNTIF(rank = 5) AS failed,
      COUNTIF(rank IS NULL) AS without_receipt
    FROM outbound
    GROUP BY source
  )
SELECT
  -- What came and went, with how many people, and how many of them wait for an answer.
  (
    SELECT AS STRUCT
      COUNT(*) AS messages,
      COUNTIF(chosen.direction = 'inbound') AS inbound,
      COUNTIF(chosen.direction = 'outbound') AS outbound,
      COUNT(DISTINCT chosen.contact_id) AS contacts,
      COUNT(DISTINCT chosen.conversation_id) AS conversations,
      COUNT(DISTINCT waits.conversation_id) AS waiting
    FROM chosen
    LEFT JOIN waits ON waits.conversation_id = chosen.conversation_id
  ) AS totals,
  -- How far messages to contacts came, by source: what the view delivery_funnel says, from receipts that came within
  -- three days, so that partitions of metadata are pruned too.
  ARRAY(
    SELECT AS STRUCT source, messages, sent, delivered, read, failed, without_receipt
    FROM funnel
    ORDER BY messages DESC, source
    LIMIT 200
  ) AS funnel,
  -- How long contacts waited for turns that began in the period, as the view response_times has them. What came before
  -- and after is looked at for three days, so that partitions are pruned.
  (
    SELECT AS STRUCT
      COUNTIF(seconds < 60) AS within_1_minute,
      COUNTIF(seconds >= 60 AND seconds < 300) AS within_5_minutes,
      COUNTIF(seconds >= 300 AND seconds < 900) AS within_15_minutes,
      COUNTIF(seconds >= 900 AND seconds < 3600) AS within_1_hour,
      COUNTIF(seconds >= 3600 AND seconds < 14400) AS within_4_hours,
      COUNTIF(seconds >= 14400 AND seconds < 86400) AS within_1_day,
      COUNTIF(seconds >= 86400) AS later,
      COUNTIF(seconds IS NULL) AS unanswered,
      APPROX_QUANTILES(seconds, 100)[OFFSET(50)] AS median,
      APPROX_QUANTILES(seconds, 100)[OFFSET(90)] AS p90
    FROM turns
  ) AS responses
LIMIT 1
