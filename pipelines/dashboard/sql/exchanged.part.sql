  -- Included by other queries: what was written in the period and three days around it, also what is known by receipts
  -- alone (as the view messages_by_receipt has it).
  told AS (
    SELECT message_id, conversation_id, contact_id, source, direction, sent_at, sent_date
    FROM `${views}.messages_as_told`
    WHERE
      sent_date BETWEEN DATE_SUB(@first_day, INTERVAL 3 DAY) AND DATE_ADD(@last_day, INTERVAL 3 DAY)
      AND (@source = '' OR source = @source)
    QUALIFY ROW_NUMBER() OVER (PARTITION BY message_id ORDER BY sent_date) = 1
  ),
  receipts AS (
    SELECT
      *,
      -- As the view delivery_states ranks them.
      CASE
        WHEN key != 'source.delivery_state' THEN NULL
        WHEN value IN ('read', 'seen', 'played') THEN 7
        WHEN value = 'delivered' THEN 6
        WHEN value IN ('failed', 'undelivered', 'canceled') THEN 5
        WHEN value = 'sent' THEN 4
        ELSE 0
      END AS rank
    FROM `${views}.metadata_as_told`
    WHERE
      occurred_date BETWEEN DATE_SUB(@first_day, INTERVAL 3 DAY) AND DATE_ADD(@last_day, INTERVAL 3 DAY)
      AND key IN ('source.delivery_state', 'source.delivered_watermark', 'source.read_watermark')
      AND (@source = '' OR source = @source)
  ),
  states AS (
    SELECT
      subject_id AS message_id,
      MAX(conversation_id) AS conversation_id,
      MAX(source) AS source,
      COALESCE(MIN(IF(rank = 4, occurred_at, NULL)), MIN(occurred_at)) AS sent_at,
      MIN(occurred_date) AS sent_date,
      MIN(rank) AS first_rank,
      MAX(rank) AS rank
    FROM receipts
    WHERE rank IS NOT NULL
    GROUP BY subject_id
  ),
  -- What was written long before may be read only now: that is no answer of now. A receipt comes within a month, which
  -- is how long the sources try; and who has read something only now was sent it before.
  known AS (
    SELECT DISTINCT message_id
    FROM `${rows}.messages`
    WHERE sent_date BETWEEN DATE_SUB(@first_day, INTERVAL 34 DAY) AND DATE_ADD(@last_day, INTERVAL 3 DAY)
  ),
  by_receipt AS (
    SELECT states.*
    FROM states
    LEFT JOIN known ON known.message_id = states.message_id
    WHERE known.message_id IS NULL AND states.first_rank != 7
  ),
  -- An answer is what went out and did not fail, however that is known.
  exchanged AS (
    SELECT told.message_id, told.conversation_id, told.direction, told.sent_at, told.sent_date
    FROM told
    LEFT JOIN states ON states.message_id = told.message_id
    WHERE told.direction = 'inbound' OR COALESCE(states.rank, 0) != 5
    UNION ALL
    SELECT message_id, conversation_id, 'outbound', sent_at, sent_date
    FROM by_receipt
    WHERE rank != 5
  ),
  -- Who has asked something, up to the period's end, that nothing has answered since. What went out at the very time of
  -- a question answers it, as in the view conversations.
  waits AS (
    SELECT conversation_id
    FROM exchanged
    GROUP BY conversation_id
    HAVING
      COALESCE(
        MAX(IF(direction = 'inbound' AND sent_date <= @last_day, sent_at, NULL))
        > MAX(IF(direction = 'outbound', sent_at, NULL)),
        LOGICAL_OR(direction = 'inbound' AND sent_date <= @last_day)
      )
  )
