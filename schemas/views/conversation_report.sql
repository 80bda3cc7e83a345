-- One row a session (the view sessions) with all that a report asks of it: who wrote how often and how fast, human or bot, what
-- failed, whether it was closed and stayed so, what the contact thought of it, what it cost and how the contact came. What came
-- before a day decides where a session begins, so a filter on started_date cannot prune. docs/reports.md defines each figure.
WITH
  bounds AS (
    SELECT
      *,
      COALESCE(
        LEAD(started_at) OVER (PARTITION BY conversation_id ORDER BY session_number),
        TIMESTAMP '9999-12-31 00:00:00+00'
      ) AS until_at,
      -- When the contact first began one of the sessions after it: what we begin between does not hide that.
      MIN(IF(begun_by = 'inbound', started_at, NULL)) OVER (
        PARTITION BY conversation_id ORDER BY session_number ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
      ) AS came_back_at,
      -- How far the warehouse knows: no clock, so that a report is the same whenever it is asked.
      MAX(ended_at) OVER () AS known_until
    FROM `${views}.sessions`
  ),
  -- When each message was sent, as sessions has it: a status may tell an earlier time, in whole seconds or of its queue.
  told AS (
    SELECT message_id, conversation_id, direction, sent_at
    FROM `${views}.messages`
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER (PARTITION BY message_id ORDER BY sent_date) = 1
  ),
  sent AS (
    SELECT
      states.message_id,
      -- A custom source may tell of a message without its conversation.
      COALESCE(told.conversation_id, states.conversation_id) AS conversation_id,
      states.state,
      COALESCE(told.sent_at, states.sent_at, states.first_told_at) AS sent_at
    FROM `${views}.delivery_states` AS states
    LEFT JOIN told ON told.message_id = states.message_id
  ),
  failed AS (
    SELECT message_id, conversation_id, sent_at
    FROM sent
    WHERE state IN ('failed', 'undelivered', 'canceled') AND conversation_id IS NOT NULL
  ),
  answers AS (
    SELECT
      actors.conversation_id,
      actors.actor_kind,
      actors.sent_at,
      failed.message_id IS NULL AS may_answer
    FROM `${views}.actors` AS actors
    LEFT JOIN failed ON failed.message_id = actors.message_id
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER (PARTITION BY actors.message_id ORDER BY actors.sent_date) = 1
  ),
  asked AS (
    SELECT bounds.session_id, MIN(inbound.sent_at) AS first_inbound_at
    FROM bounds
    INNER JOIN told AS inbound
      ON
        inbound.conversation_id = bounds.conversation_id
        AND inbound.sent_at >= bounds.started_at
        AND inbound.sent_at < bounds.until_at
    WHERE inbound.direction = 'inbound'
    GROUP BY bounds.session_id
  ),
  answered AS (
    SELECT
      bounds.session_id,
      COUNTIF(answers.actor_kind = 'human') AS human_messages,
      COUNTIF(answers.actor_kind = 'bot') AS bot_messages,
      COUNTIF(answers.actor_kind = 'system') AS system_messages,
      MIN(
        IF(answers.actor_kind = 'human' AND answers.may_answer AND answers.sent_at >= asked.first_inbound_at, answers.sent_at, NULL)
      ) AS first_human_at,
      MIN(
        IF(answers.actor_kind = 'bot' AND answers.may_answer AND answers.sent_at >= asked.first_inbound_at, answers.sent_at, NULL)
      ) AS first_bot_at
    FROM bounds
    INNER JOIN answers
      ON
        answers.conversation_id = bounds.conversation_id
        AND answers.sent_at >= bounds.started_at
        AND answers.sent_at < bounds.until_at
    LEFT JOIN asked ON asked.session_id = bounds.session_id
    GROUP BY bounds.session_id
  ),
  undelivered AS (
    SELECT bounds.session_id, COUNT(*) AS failed_messages
    FROM bounds
    INNER JOIN failed
      ON
        failed.conversation_id = bounds.conversation_id
        AND failed.sent_at >= bounds.started_at
        AND failed.sent_at < bounds.until_at
    GROUP BY bounds.session_id
  ),
  closings AS (
    SELECT conversation_id, occurred_at
    FROM `${views}.metadata`
    WHERE
      subject_type = 'conversation'
      AND key IN ('status', 'state', 'conversation.status')
      AND LOWER(value) IN ('closed', 'resolved', 'solved', 'done')
  ),
  closed AS (
    SELECT bounds.session_id, MIN(closings.occurred_at) AS closed_at
    FROM bounds
    INNER JOIN closings
      ON
        closings.conversation_id = bounds.conversation_id
        AND closings.occurred_at >= bounds.started_at
        AND closings.occurred_at < bounds.until_at
    GROUP BY bounds.session_id
  ),
  given AS (
    SELECT conversation_id, rated_at, score
    FROM `${views}.ratings`
    WHERE score IS NOT NULL
    -- Told in two partitions, it is one all the same, as its last telling told it.
    QUALIFY ROW_NUMBER() OVER (PARTITION BY rating_id ORDER BY rated_date DESC) = 1
  ),
  rated AS (
    SELECT
      bounds.session_id,
      COUNT(given.score) AS ratings,
      SUM(given.score) / COUNT(given.score) AS rating
    FROM bounds
    INNER JOIN given
      ON
        given.conversation_id = bounds.conversation_id
        AND given.rated_at >= bounds.started_at
        AND given.rated_at < bounds.until_at
    GROUP BY bounds.session_id
  ),
  costs AS (
    SELECT
      costs.conversation_id,
      costs.is_charged,
      costs.cost_micros,
      costs.currency,
      COALESCE(sent.sent_at, costs.told_at) AS sent_at
    FROM `${views}.message_costs` AS costs
    LEFT JOIN sent ON sent.message_id = costs.message_id
  ),
  paid AS (
    SELECT
      bounds.session_id,
      COUNTIF(costs.is_charged) AS charged_messages,
      COUNTIF(costs.is_charged AND costs.cost_micros IS NULL) AS unpriced_messages,
      -- What is free does not make a sum of charged messages without a price: it is not known.
      IF(
        LOGICAL_OR(costs.is_charged),
        SUM(IF(costs.is_charged, costs.cost_micros, NULL)),
        SUM(costs.cost_micros)
      ) AS cost_micros,
      MIN(costs.currency) AS currency,
      COUNT(DISTINCT costs.currency) AS currencies
    FROM bounds
    INNER JOIN costs
      ON
        costs.conversation_id = bounds.conversation_id
        AND costs.sent_at >= bounds.started_at
        AND costs.sent_at < bounds.until_at
    GROUP BY bounds.session_id
  ),
  came AS (
    SELECT
      bounds.session_id,
      acquisitions.acquisition_id,
      acquisitions.came_at,
      acquisitions.kind,
      acquisitions.ad_id,
      acquisitions.campaign
    FROM bounds
    INNER JOIN `${views}.acquisitions` AS acquisitions
      ON
        acquisitions.conversation_id = bounds.conversation_id
        -- A referral without a message comes just before what the contact writes.
        AND acquisitions.came_at >= TIMESTAMP_SUB(bounds.started_at, INTERVAL 24 HOUR)
        AND acquisitions.came_at < bounds.until_at
    WHERE TRUE
    QUALIFY
      ROW_NUMBER() OVER (
        PARTITION BY acquisitions.acquisition_id
        ORDER BY
          -- Of what came in the silence between two sessions, the one that begins within a day, else the one before.
          CASE
            WHEN acquisitions.came_at BETWEEN bounds.started_at AND bounds.ended_at THEN 0
            WHEN acquisitions.came_at < bounds.started_at THEN 1
            ELSE 2
          END,
          bounds.session_number
      ) = 1
  ),
  first_came AS (
    SELECT session_id, acquisition_id, kind, ad_id, campaign
    FROM came
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER (PARTITION BY session_id ORDER BY came_at, acquisition_id) = 1
  )
SELECT
  bounds.session_id,
  bounds.conversation_id,
  bounds.contact_id,
  bounds.channel_id,
  bounds.source,
  bounds.session_number,
  bounds.begun_by,
  bounds.started_at,
  bounds.started_date,
  bounds.ended_at,
  bounds.messages,
  bounds.inbound_messages,
  bounds.outbound_messages,
  -- How many of the outbound ones a human wrote.
  COALESCE(answered.human_messages, 0) AS human_messages,
  -- How many a bot wrote.
  COALESCE(answered.bot_messages, 0) AS bot_messages,
  -- How many a system wrote.
  COALESCE(answered.system_messages, 0) AS system_messages,
  -- How many nobody says who wrote, those among them that are known by their receipts alone.
  (
    bounds.outbound_messages
    - COALESCE(answered.human_messages, 0)
    - COALESCE(answered.bot_messages, 0)
    - COALESCE(answered.system_messages, 0)
  ) AS unknown_messages,
  -- How many messages to the contact never arrived. Of these, what is known by its receipts alone is no outbound message.
  COALESCE(undelivered.failed_messages, 0) AS failed_messages,
  bounds.first_response_seconds,
  -- Seconds from the contact's first message in it to the first after it that a human wrote and that did not fail; null where there
  -- is none.
  TIMESTAMP_DIFF(answered.first_human_at, asked.first_inbound_at, MILLISECOND) / 1000 AS first_human_response_seconds,
  -- The same of a bot.
  TIMESTAMP_DIFF(answered.first_bot_at, asked.first_inbound_at, MILLISECOND) / 1000 AS first_bot_response_seconds,
  bounds.is_unanswered,
  bounds.is_reopened,
  -- When a source first said that it is closed (a custom source's status: closed, resolved, solved, done); null where none did.
  closed.closed_at,
  -- Seconds from its first message to that.
  TIMESTAMP_DIFF(closed.closed_at, bounds.started_at, MILLISECOND) / 1000 AS seconds_to_close,
  -- Whether the contact left it at that for 7 days: no session began within 7 days of its end that the contact began; null where
  -- the contact's last message had no answer, or where 7 days have not passed in what is known.
  CASE
    WHEN bounds.is_unanswered THEN NULL
    WHEN bounds.came_back_at < TIMESTAMP_ADD(COALESCE(closed.closed_at, bounds.ended_at), INTERVAL 168 HOUR) THEN FALSE
    WHEN bounds.known_until >= TIMESTAMP_ADD(COALESCE(closed.closed_at, bounds.ended_at), INTERVAL 168 HOUR) THEN TRUE
  END AS is_resolved_for_7_days,
  -- How many ratings were given in it that are on a known scale.
  COALESCE(rated.ratings, 0) AS ratings,
  -- Their mean score, 0 (worst) to 1 (best); null where there is none.
  rated.rating,
  -- How many of its messages are charged.
  COALESCE(paid.charged_messages, 0) AS charged_messages,
  -- How many of these no price is known of: the cost is that of the others.
  COALESCE(paid.unpriced_messages, 0) AS unpriced_messages,
  -- What its messages cost together, in millionths of the currency, without the unpriced ones; null where nothing is known of a
  -- cost (0 where none is charged), or where it is in several currencies.
  IF(COALESCE(paid.currencies, 0) > 1, NULL, paid.cost_micros) AS cost_micros,
  -- The currency of the cost; null where there is none, or several.
  IF(COALESCE(paid.currencies, 0) > 1, NULL, paid.currency) AS currency,
  -- The referral by which the contact came in this session, or at most 24 hours before its first message; null where none.
  first_came.acquisition_id,
  -- By what the contact came: ad, post, shortlink, …
  first_came.kind AS acquisition_kind,
  first_came.ad_id,
  first_came.campaign
FROM bounds
LEFT JOIN asked ON asked.session_id = bounds.session_id
LEFT JOIN answered ON answered.session_id = bounds.session_id
LEFT JOIN undelivered ON undelivered.session_id = bounds.session_id
LEFT JOIN closed ON closed.session_id = bounds.session_id
LEFT JOIN rated ON rated.session_id = bounds.session_id
LEFT JOIN paid ON paid.session_id = bounds.session_id
LEFT JOIN first_came ON first_came.session_id = bounds.session_id
