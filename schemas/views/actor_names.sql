-- Who the ids of senders are, as an analyst named them; and apps of Meta that anybody may meet.
SELECT
  source,
  actor_id,
  kind,
  name
FROM `${rows}.actor_names`
UNION ALL
SELECT CAST(NULL AS STRING), '263902037430900', 'human', 'Page inbox'
UNION ALL
SELECT CAST(NULL AS STRING), '1217981644879628', 'human', 'Instagram inbox'
