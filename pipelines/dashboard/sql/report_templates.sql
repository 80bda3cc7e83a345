-- What became of templates that were sent in the period, as the view template_messages has it: receipts up to three days
-- later, and what the contact wrote or tapped in that time.
WITH
${reported},
  reported_delivery_states AS (
${delivery_states}
  ),
  reported_templates AS (
${template_messages}
  ),
  used AS (
    SELECT *
    FROM reported_templates
    WHERE sent_date BETWEEN @first_day AND @last_day AND (@source = '' OR source = @source)
    QUALIFY ROW_NUMBER() OVER (PARTITION BY message_id ORDER BY sent_date) = 1
  )
SELECT
  source,
  template,
  language,
  COUNT(*) AS messages,
  COUNTIF(state IN ('sent', 'delivered', 'read', 'seen', 'played')) AS sent,
  COUNTIF(state IN ('delivered', 'read', 'seen', 'played')) AS delivered,
  COUNTIF(state IN ('read', 'seen', 'played')) AS read,
  COUNTIF(state IN ('failed', 'undelivered', 'canceled')) AS failed,
  COUNTIF(clicked_at IS NOT NULL) AS clicked,
  COUNTIF(is_answered_within_day) AS answered
FROM used
GROUP BY source, template, language
ORDER BY messages DESC, source, template, language
LIMIT 500
