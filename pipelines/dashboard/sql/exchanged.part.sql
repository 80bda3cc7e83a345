  -- Included by other queries: what was written in the period and three days around it, also what is known by receipts
  -- alone (as the view messages_by_receipt has it). Whoever has several ids is one contact, with one conversation.
${people},
  told AS (
    SELECT
      message.message_id,
      COALESCE(same.resolved_conversation_id, message.conversation_id) AS conversation_id,
      COALESCE(who.resolved_contact_id, message.contact_id) AS contact_id,
      message.contact_id AS told_contact_id,
      message.source,
      message.direction,
      message.sent_at,
      message.sent_date
    FROM `${views}.messages_as_told` AS message
    LEFT JOIN who ON who.contact_id = message.contact_id
    LEFT JOIN same ON same.conversation_id = message.conversation_id
    WHERE
      message.sent_date BETWEEN DATE_SUB(@first_day, INTERVAL 3 DAY) AND DATE_ADD(@last_day, INTERVAL 3 DAY)
      AND (@source = '' OR message.source = @source)
    QUALIFY ROW_NUMBER() OVER (PARTITION BY message.message_id ORDER BY message.sent_date) = 1
  ),
  receipts AS (
    SELECT
      fact.* EXCEPT (conversation_id),
      -- Of what is told up to a time (watermarks) the subject.
      COALESCE(same.resolved_conversation_id, fact.conversation_id, fact.subject_id) AS conversation_id,
      -- As the view delivery_states ranks them. What is told as deleted the contact wrote.
      CASE
        WHEN fact.key != 'source.delivery_state' OR fact.value = 'deleted' THEN NULL
        WHEN fact.value IN ('read', 'seen', 'played') THEN 7
        WHEN fact.value = 'delivered' THEN 6
        WHEN fact.value IN ('failed', 'undelivered', 'canceled') THEN 5
        WHEN fact.value = 'sent' THEN 4
        ELSE 0
      END AS rank
    FROM `${views}.metadata_as_told` AS fact
    LEFT JOIN same
      ON same.conversation_id = IF(fact.key = 'source.delivery_state', fact.conversation_id, fact.subject_id)
    WHERE
      fact.occurred_date BETWEEN DATE_SUB(@first_day, INTERVAL 3 DAY) AND DATE_ADD(@last_day, INTERVAL 3 DAY)
      AND fact.key IN ('source.delivery_state', 'source.delivered_watermark', 'source.read_watermark')
      AND (@source = '' OR fact.source = @source)
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
    SELECT message_id
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
