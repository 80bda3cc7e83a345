-- One row for each person across sources, with how lively they are.
SELECT
  person_id,
  display_name,
  sources,
  conversations,
  inbound_messages,
  outbound_messages,
  first_message_at,
  last_message_at,
  DATE_DIFF(CURRENT_DATE(), DATE(last_message_at), DAY) AS days_silent
FROM {{ source('parley', 'people') }}
WHERE messages > 0
