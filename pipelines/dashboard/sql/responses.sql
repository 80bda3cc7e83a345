-- How long contacts waited for turns that began in the period, as the view response_times has them. What came before
-- and after is looked at for three days, so that partitions are pruned.
WITH
${exchanged},
${turns}
SELECT
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
LIMIT 1
