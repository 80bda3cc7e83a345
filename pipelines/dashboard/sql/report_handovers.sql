-- To whom conversations passed in the period, as the view handovers has it.
WITH
${reported},
  reported_handovers AS (
${handovers}
  )
SELECT
  source,
  kind,
  to_kind,
  to_name,
  COUNT(DISTINCT handover_id) AS handovers,
  COUNT(DISTINCT conversation_id) AS conversations
FROM reported_handovers
WHERE handed_date BETWEEN @first_day AND @last_day AND (@source = '' OR source = @source)
GROUP BY source, kind, to_kind, to_name
ORDER BY handovers DESC, source, kind, to_kind, to_name
LIMIT 500
