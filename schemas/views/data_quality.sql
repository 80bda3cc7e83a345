-- How good the data of each day is: what could not be read, what came late, how long it took.
-- A filter on day prunes all three tables. The day is that of receipt for requests and failures, that of the partition
-- (sent_date) for messages.
WITH
  counted AS (
    SELECT
      received_date AS day,
      source AS endpoint,
      'request' AS kind,
      outcome,
      IF(outcome = 'ignored', reason, NULL) AS ignored_reason,
      -- What came without a body (a GET) is not all the same.
      IF(body_bytes = 0, event_id, body_sha256) AS body_sha256,
      CAST(NULL AS STRING) AS sent_at_from,
      CAST(NULL AS FLOAT64) AS source_delay,
      TIMESTAMP_DIFF(processed_at, received_at, MILLISECOND) / 1000 AS processing_delay
    FROM `${views}.events`
    UNION ALL
    SELECT
      sent_date,
      CASE
        WHEN source = 'instagram' THEN 'facebook'
        WHEN STARTS_WITH(source, 'twilio.') THEN 'twilio'
        ELSE source
      END,
      'message',
      NULL,
      NULL,
      NULL,
      sent_at_from,
      IF(sent_at_from = 'received', NULL, TIMESTAMP_DIFF(received_at, sent_at, MILLISECOND) / 1000),
      NULL
    FROM `${views}.messages_as_told`
    UNION ALL
    SELECT received_date, COALESCE(source, ''), 'dead letter', NULL, NULL, NULL, NULL, NULL, NULL
    FROM `${views}.dead_letters`
  )
SELECT
  -- Day of receipt of requests and failures, partition of messages.
  day,
  -- The endpoint that took the requests; facebook carries Instagram, twilio carries SMS and WhatsApp.
  endpoint,
  -- How many raw events were received.
  COUNTIF(kind = 'request') AS requests,
  -- How many of them became rows as a whole.
  COUNTIF(outcome = 'normalized') AS normalized,
  -- How many of them became rows in part.
  COUNTIF(outcome = 'partial') AS partial,
  -- How many of them had nothing to keep.
  COUNTIF(outcome = 'ignored') AS ignored,
  -- How many of them became no row.
  COUNTIF(outcome = 'failed') AS failed,
  -- How many different reasons there were to ignore; events.reason names them.
  COUNT(DISTINCT ignored_reason) AS ignored_reasons,
  -- How many requests had the same bytes as another of the day; those without a body aside.
  COUNTIF(kind = 'request') - COUNT(DISTINCT body_sha256) AS repeated_requests,
  -- How many items could not be normalized or stored.
  COUNTIF(kind = 'dead letter') AS dead_letters,
  -- How many messages there are.
  COUNTIF(kind = 'message') AS messages,
  -- How many of them were received more than an hour after they were sent.
  COUNTIF(source_delay > 3600) AS late_messages,
  -- How many of them claim to be sent more than a minute after they were received.
  COUNTIF(source_delay < -60) AS early_messages,
  -- How many of them carry no usable time of their own.
  COUNTIF(sent_at_from != 'item') AS undated_messages,
  -- Median of seconds from sending to receipt.
  APPROX_QUANTILES(source_delay, 100)[OFFSET(50)] AS median_source_delay,
  -- 95th percentile of seconds from sending to receipt.
  APPROX_QUANTILES(source_delay, 100)[OFFSET(95)] AS p95_source_delay,
  -- Median of seconds from receipt until the row was made.
  APPROX_QUANTILES(processing_delay, 100)[OFFSET(50)] AS median_processing_delay,
  -- 95th percentile of seconds from receipt until the row was made.
  APPROX_QUANTILES(processing_delay, 100)[OFFSET(95)] AS p95_processing_delay
FROM counted
GROUP BY day, endpoint
