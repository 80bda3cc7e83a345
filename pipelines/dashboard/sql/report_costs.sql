-- What messages cost that were first told of in the period, as the view message_costs has them: by what their sources say of
-- them. Statuses up to three days later say what was delivered; what was told of before the period is counted then.
WITH
${reported},
  reported_costs AS (
${message_costs}
  )
SELECT
  source,
  direction,
  category,
  pricing_type,
  COUNT(*) AS messages,
  COUNTIF(billable) AS billable,
  COUNTIF(is_charged) AS charged,
  COUNTIF(is_charged AND cost_micros IS NULL) AS unpriced,
  -- Of several currencies there is no sum. What is free does not make a sum of charged messages without a price: it is not known.
  IF(
    COUNT(DISTINCT currency) > 1,
    NULL,
    IF(LOGICAL_OR(is_charged), SUM(IF(is_charged, cost_micros, NULL)), SUM(cost_micros))
  ) AS cost_micros,
  IF(COUNT(DISTINCT currency) > 1, NULL, MIN(currency)) AS currency
FROM reported_costs
WHERE
  told_date BETWEEN @first_day AND @last_day
  AND (@source = '' OR source = @source)
  -- Nobody speaks of money with the others.
  AND is_charged IS NOT NULL
GROUP BY source, direction, category, pricing_type
ORDER BY charged DESC, messages DESC, source, direction, category, pricing_type
LIMIT 500
