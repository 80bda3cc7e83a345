-- What each message cost: what its source told of its price (WhatsApp's pricing, Twilio's segments and price), each message
-- once however many statuses told it, and the money by the view rates. Inbound messages are here where they cost something
-- (SMS). What a status says of a price is read from content, so this answers for all of history, and reads it: a
-- filter on told_date cannot prune. See docs/reports.md for each figure with an example.
WITH
  receipts AS (
    SELECT
      subject_id AS message_id,
      conversation_id,
      contact_id,
      channel_id,
      source,
      'outbound' AS direction,
      value AS state,
      occurred_at AS told_at,
      occurred_date AS told_date,
      received_at,
      metadata_id AS telling_id,
      IF(content_type = 'application/x-www-form-urlencoded', content, NULL) AS form,
      IF(content_type = 'application/json', SAFE.PARSE_JSON(content, wide_number_mode => 'round'), NULL) AS body
    FROM `${views}.metadata`
    -- What is told as deleted the contact wrote.
    WHERE subject_type = 'message' AND key = 'source.delivery_state' AND value != 'deleted'
  ),
  -- What comes in by SMS is charged by segments, too.
  received AS (
    SELECT
      message_id,
      conversation_id,
      contact_id,
      channel_id,
      source,
      direction,
      'received' AS state,
      sent_at AS told_at,
      sent_date AS told_date,
      received_at,
      event_id AS telling_id,
      IF(content_type = 'application/x-www-form-urlencoded', content, NULL) AS form,
      IF(content_type = 'application/json', SAFE.PARSE_JSON(content, wide_number_mode => 'round'), NULL) AS body
    FROM `${views}.messages`
    WHERE STARTS_WITH(source, 'twilio.') AND direction = 'inbound'
  ),
  told AS (
    SELECT * FROM receipts
    UNION ALL
    SELECT * FROM received
  ),
  read_told AS (
    SELECT
      message_id,
      conversation_id,
      contact_id,
      channel_id,
      source,
      direction,
      state,
      told_at,
      told_date,
      received_at,
      telling_id,
      COALESCE(
        CASE LOWER(JSON_VALUE(body, '$$.pricing.billable')) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END,
        -- WhatsApp is about to leave that out: the type says it, too.
        CASE LOWER(JSON_VALUE(body, '$$.pricing.type'))
          WHEN 'regular' THEN TRUE
          WHEN 'free_customer_service' THEN FALSE
          WHEN 'free_entry_point' THEN FALSE
        END
      ) AS billable,
      REPLACE(LOWER(JSON_VALUE(body, '$$.pricing.category')), '-', '_') AS category,
      LOWER(JSON_VALUE(body, '$$.pricing.type')) AS pricing_type,
      UPPER(JSON_VALUE(body, '$$.pricing.pricing_model')) AS pricing_model,
      JSON_VALUE(body, '$$.conversation.id') AS source_pricing_id,
      LOWER(JSON_VALUE(body, '$$.conversation.origin.type')) AS origin,
      SAFE_CAST(
        COALESCE(
          REGEXP_EXTRACT(form, r'(?:^|&)NumSegments=([0-9]+)'),
          JSON_VALUE(body, '$$.data.numberOfSegments'),
          JSON_VALUE(body, '$$.data.numSegments')
        ) AS INT64
      ) AS segments,
      -- Twilio writes what it charges as a negative number.
      ABS(
        SAFE_CAST(
          COALESCE(REGEXP_EXTRACT(form, r'(?:^|&)Price=([-+]?[0-9.]+)'), JSON_VALUE(body, '$$.data.price')) AS FLOAT64
        )
      ) AS told_price,
      UPPER(
        COALESCE(REGEXP_EXTRACT(form, r'(?:^|&)PriceUnit=([A-Za-z]{3})'), JSON_VALUE(body, '$$.data.priceUnit'))
      ) AS told_currency,
      -- Whose status it is of those in a group.
      COALESCE(
        JSON_VALUE(body, '$$.recipient_participant_user_id'), JSON_VALUE(body, '$$.recipient_participant_id')
      ) AS participant,
      COALESCE(
        REGEXP_EXTRACT(JSON_VALUE(body, '$$.recipient_participant_id'), r'^[+]?([0-9]+)$$'),
        REGEXP_EXTRACT(JSON_VALUE(body, '$$.recipient_id'), r'^[+]?([0-9]+)$$'),
        REGEXP_EXTRACT(
          IF(direction = 'inbound', JSON_VALUE(body, '$$.data.from'), JSON_VALUE(body, '$$.data.to')), r'[+]([0-9]+)$$'
        ),
        IF(
          direction = 'inbound',
          REGEXP_EXTRACT(form, r'(?:^|&)From=(?:[a-z]+(?:%3[Aa]|:))?(?:%2[Bb]|[+])([0-9]+)'),
          REGEXP_EXTRACT(form, r'(?:^|&)To=(?:[a-z]+(?:%3[Aa]|:))?(?:%2[Bb]|[+])([0-9]+)')
        )
      ) AS number
    FROM told
  ),
  ranked AS (
    SELECT
      *,
      -- What does not say is asked of the message's other tellings.
      FIRST_VALUE(billable IGNORE NULLS) OVER in_order AS first_billable,
      FIRST_VALUE(category IGNORE NULLS) OVER in_order AS first_category,
      FIRST_VALUE(pricing_type IGNORE NULLS) OVER in_order AS first_pricing_type,
      FIRST_VALUE(pricing_model IGNORE NULLS) OVER in_order AS first_pricing_model,
      FIRST_VALUE(source_pricing_id IGNORE NULLS) OVER in_order AS first_pricing_id,
      FIRST_VALUE(origin IGNORE NULLS) OVER in_order AS first_origin,
      FIRST_VALUE(number IGNORE NULLS) OVER of_recipient AS first_number,
      MAX(segments) OVER whole AS most_segments,
      -- What is no amount of money, or no number of parts, fails no question: it is not known.
      CAST(ROUND(MAX(IF(told_price < 1000000000000, told_price, NULL)) OVER whole * 1000000) AS INT64) AS most_micros,
      MAX(told_currency) OVER whole AS a_currency,
      MIN(told_at) OVER whole AS first_told_at,
      MIN(told_date) OVER whole AS first_told_date,
      MAX(
        CASE
          WHEN state IN ('delivered', 'read', 'seen', 'played') THEN 3
          WHEN state IN ('failed', 'canceled') THEN 2
          WHEN state IN ('sent', 'undelivered', 'received') THEN 1
          ELSE 0
        END
      ) OVER recipient AS reached
    FROM read_told
    WHERE TRUE
    -- A message to a group is delivered, and charged, for each participant.
    QUALIFY ROW_NUMBER() OVER first_of_recipient = 1
    WINDOW
      first_telling AS (PARTITION BY message_id ORDER BY told_at, received_at, telling_id),
      in_order AS (first_telling ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING),
      whole AS (PARTITION BY message_id),
      first_of_recipient AS (PARTITION BY message_id, participant ORDER BY told_at, received_at, telling_id),
      of_recipient AS (first_of_recipient ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING),
      recipient AS (PARTITION BY message_id, participant)
  ),
  priced AS (
    SELECT
      *,
      CASE
        -- Only of SMS, and what else Twilio sends, it is known without being told.
        WHEN first_billable IS NULL AND NOT STARTS_WITH(source, 'twilio.') THEN NULL
        WHEN NOT COALESCE(first_billable, TRUE) THEN FALSE
        -- A message is charged when it is delivered; a conversation when its first message is sent.
        WHEN source = 'whatsapp' AND COALESCE(first_pricing_model, '') != 'CBP' THEN reached = 3
        ELSE reached IN (1, 3)
      END AS is_charged
    FROM ranked
  ),
  numbered AS (
    SELECT
      *,
      ROW_NUMBER() OVER (
        PARTITION BY channel_id, first_pricing_id, is_charged ORDER BY first_told_at, message_id, participant
      ) AS place_in_conversation
    FROM priced
  ),
  rated AS (
    SELECT
      numbered.*,
      rates.unit,
      rates.price_micros,
      rates.currency,
      -- What costs nothing needs no rate, and what the source told of the price counts more than one.
      CASE
        WHEN NOT numbered.is_charged THEN 0
        WHEN numbered.is_charged IS NULL THEN NULL
        WHEN numbered.most_micros IS NOT NULL THEN numbered.most_micros
        WHEN rates.unit = 'conversation'
          THEN IF(numbered.first_pricing_id IS NULL OR numbered.place_in_conversation = 1, rates.price_micros, 0)
        WHEN rates.unit = 'segment' THEN rates.price_micros * IF(numbered.most_segments < 1000000, numbered.most_segments, NULL)
        ELSE rates.price_micros
      END AS cost_micros
    FROM numbered
    LEFT JOIN `${views}.rates` AS rates
      ON
        rates.source = numbered.source
        AND (rates.direction IS NULL OR rates.direction = numbered.direction)
        AND (rates.category IS NULL OR rates.category = numbered.first_category)
        AND (rates.number_prefix IS NULL OR STARTS_WITH(numbered.first_number, rates.number_prefix))
        AND (rates.valid_from IS NULL OR rates.valid_from <= numbered.first_told_date)
        AND (rates.valid_until IS NULL OR rates.valid_until >= numbered.first_told_date)
        AND (rates.unit = 'conversation') = (COALESCE(numbered.first_pricing_model, '') = 'CBP')
    WHERE TRUE
    QUALIFY
      ROW_NUMBER() OVER (
        PARTITION BY numbered.message_id, numbered.participant
        ORDER BY
          COALESCE(LENGTH(rates.number_prefix), -1) DESC,
          IF(rates.category IS NULL, 1, 0),
          IF(rates.direction IS NULL, 1, 0),
          COALESCE(rates.valid_from, DATE '0001-01-01') DESC,
          rates.unit,
          rates.currency,
          rates.price_micros
      ) = 1
  ),
  paid AS (
    SELECT
      * EXCEPT (currency),
      IF(is_charged AND cost_micros IS NOT NULL, IF(most_micros IS NOT NULL, a_currency, currency), NULL) AS currency
    FROM rated
  ),
  summed AS (
    SELECT
      * EXCEPT (first_number, is_charged, cost_micros, currency),
      IF(MAX(participant) OVER whole IS NULL, first_number, NULL) AS first_number,
      MAX(is_charged) OVER whole AS is_charged,
      -- Without one's price the sum is not known, and neither in several currencies.
      IF(
        MAX(is_charged AND cost_micros IS NULL) OVER whole OR MIN(currency) OVER whole != MAX(currency) OVER whole,
        NULL,
        SUM(cost_micros) OVER whole
      ) AS cost_micros,
      MIN(currency) OVER whole AS currency
    FROM paid
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER (PARTITION BY message_id ORDER BY told_at, received_at, telling_id) = 1
    WINDOW whole AS (PARTITION BY message_id)
  )
SELECT
  -- The message; joins messages.message_id where the message itself has come.
  message_id,
  conversation_id,
  contact_id,
  channel_id,
  source,
  -- outbound, or inbound where what comes in is charged, too (SMS).
  direction,
  -- When it was first told of: its first status, or, of what came in, when it was sent.
  first_told_at AS told_at,
  -- The partition of that telling.
  first_told_date AS told_date,
  -- Whether the source says that it is charged; null where it does not say.
  first_billable AS billable,
  -- WhatsApp's category in small letters: marketing, utility, authentication, service, …; null where none was told.
  first_category AS category,
  -- regular, free_customer_service or free_entry_point; null where it was not told.
  first_pricing_type AS pricing_type,
  -- PMP (a price for each message) or CBP (one for each conversation of 24 hours, until 2025); null where it was not told.
  first_pricing_model AS pricing_model,
  -- WhatsApp's id of the conversation that is charged; no conversation of ours.
  first_pricing_id AS source_pricing_id,
  -- What opened that conversation: service, business_initiated, referral_conversion, …
  first_origin AS origin,
  -- Into how many parts an SMS was cut, as far as it was told.
  most_segments AS segments,
  -- The digits of the contact's number, by which a rate is found; null where it is not known, and of a message to a group.
  first_number AS number,
  -- Whether it has to be paid: billable, and delivered (of a conversation, and of SMS: sent); null where nobody says.
  is_charged,
  -- What it costs in millionths of the currency: as the source told it, else by the rate; of a message to a group for all to
  -- whom it was delivered; 0 where it is not charged; null where no rate fits, or nobody says whether it is charged.
  cost_micros,
  -- The currency of the cost; null where there is none.
  IF(cost_micros IS NULL, NULL, currency) AS currency,
  -- Where the cost comes from: source (told), rate, free (not charged); null where it is not known.
  CASE
    WHEN NOT is_charged THEN 'free'
    WHEN is_charged IS NULL OR cost_micros IS NULL THEN NULL
    WHEN most_micros IS NOT NULL THEN 'source'
    ELSE 'rate'
  END AS cost_from
FROM summed
