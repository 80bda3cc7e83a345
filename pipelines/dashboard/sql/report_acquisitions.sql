-- How contacts came in the period, as the view acquisitions has it: answers, the next referral and what was bought count up
-- to three days after the period.
WITH
${reported},
  reported_delivery_states AS (
${delivery_states}
  ),
  reported_messages_by_receipt AS (
${messages_by_receipt}
  ),
  -- Of the ids that one person's conversation has had, those of the days that are read.
  reported_counted_conversations AS (
    SELECT conversation_id, channel_id, contact_id, contact_id AS source_conversation_id
    FROM named
  ),
  reported_identities AS (
    SELECT contact_id, contact_id AS source_contact_id, resolved_contact_id
    FROM who
  ),
  reported_acquisitions AS (
${acquisitions}
  )
SELECT
  source,
  kind,
  ad_id,
  campaign,
  MIN(headline) AS headline,
  COUNT(*) AS came,
  COUNT(DISTINCT conversation_id) AS conversations,
  COUNT(answered_at) AS answered,
  APPROX_QUANTILES(first_response_seconds, 100)[OFFSET(50)] AS median,
  SUM(conversions) AS conversions,
  -- Of several currencies there is no sum.
  IF(COUNT(DISTINCT currency) > 1, NULL, SUM(value_micros)) AS value_micros,
  IF(COUNT(DISTINCT currency) > 1, NULL, MIN(currency)) AS currency
FROM reported_acquisitions
WHERE came_date BETWEEN @first_day AND @last_day AND (@source = '' OR source = @source)
GROUP BY source, kind, ad_id, campaign
ORDER BY came DESC, source, kind, ad_id, campaign
LIMIT 500
