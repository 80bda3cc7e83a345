-- How far messages to contacts came, by source: what the view delivery_funnel says, from receipts that came within
-- three days, so that partitions of metadata are pruned too.
WITH
${exchanged},
${outbound}
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
ORDER BY messages DESC, source
LIMIT 200
