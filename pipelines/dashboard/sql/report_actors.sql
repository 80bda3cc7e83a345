-- Who wrote the messages to contacts of the period, as the view actors has it: handovers up to three days before the period
-- say who had the conversation.
WITH
${reported},
  reported_handovers AS (
${handovers}
  ),
  reported_replies AS (
${replies}
  ),
  reported_actors AS (
${actors}
  ),
  answers AS (
    SELECT *
    FROM reported_actors
    WHERE sent_date BETWEEN @first_day AND @last_day AND (@source = '' OR source = @source)
    QUALIFY ROW_NUMBER() OVER (PARTITION BY message_id ORDER BY sent_date) = 1
  )
SELECT
  source,
  actor_kind,
  actor_name,
  COUNT(*) AS messages,
  COUNT(DISTINCT conversation_id) AS conversations
FROM answers
GROUP BY source, actor_kind, actor_name
ORDER BY messages DESC, source, actor_kind, actor_name
LIMIT 500
