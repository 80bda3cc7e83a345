  -- Included by other queries: what was written in the period and a week around it, also what is known by receipts alone
  -- (as the view messages_by_receipt has it).
  told AS (
    SELECT message_id, conversation_id, contact_id, source, direction, sent_at, sent_date
    FROM `${views}.messages`
    WHERE
      sent_date BETWEEN DATE_SUB(@first_day, INTERVAL 7 DAY) AND DATE_ADD(@last_day, INTERVAL 7 DAY)
      AND (@source = '' OR source = @source)
    QUALIFY ROW_NUMBER() OVER (PARTITION BY message_id ORDER BY sent_date) = 1
  ),
  states AS (
    SELECT
      subject_id AS message_id,
      MAX(conversation_id) AS conversation_id,
      MAX(source) AS source,
      COALESCE(MIN(IF(value = 'sent', occurred_at, NULL)), MIN(occurred_at)) AS sent_at,
      MIN(occurred_date) AS sent_date,
      -- As the view delivery_states ranks them.
      MAX(
        CASE
          WHEN value IN ('read', 'seen', 'played') THEN 7
          WHEN value = 'delivered' THEN 6
          WHEN value IN ('failed', 'undelivered', 'canceled') THEN 5
          WHEN value = 'sent' THEN 4
          ELSE 0
        END
      ) AS rank
    FROM `${views}.metadata`
    WHERE
      occurred_date BETWEEN DATE_SUB(@first_day, INTERVAL 7 DAY) AND DATE_ADD(@last_day, INTERVAL 7 DAY)
      AND key = 'source.delivery_state'
      AND (@source = '' OR source = @source)
    GROUP BY subject_id
  ),
  by_receipt AS (
    SELECT states.*
    FROM states
    LEFT JOIN told ON told.message_id = states.message_id
    WHERE told.message_id IS NULL
  ),
  exchanged AS (
    SELECT message_id, conversation_id, contact_id, direction, sent_at, sent_date, TRUE AS is_told
    FROM told
    UNION ALL
    SELECT message_id, conversation_id, NULL, 'outbound', sent_at, sent_date, FALSE
    FROM by_receipt
    WHERE rank != 5
  )
