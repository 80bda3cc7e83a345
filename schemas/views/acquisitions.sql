-- How contacts came: each referral once (an advertisement, a post, a link), as Messenger, Instagram, WhatsApp and Twilio tell it,
-- with the first answer, the contact's messages until the next referral, and the value that a custom source reports.
-- The referral is read from content. What follows it may come on any later day, so a filter on came_date cannot prune the messages.
WITH
  told AS (
    SELECT
      *,
      IF(content_type = 'application/json', SAFE.PARSE_JSON(content, wide_number_mode => 'round'), NULL) AS body,
      IF(content_type = 'application/x-www-form-urlencoded', REPLACE(content, '+', '%20'), NULL) AS form
    FROM `${views}.metadata`
    WHERE key = 'source.referral'
  ),
  encoded AS (
    SELECT
      *,
      ARRAY(
        SELECT
          STRUCT(
            field AS field,
            (
              SELECT
                STRING_AGG(
                  CASE
                    WHEN position = 0 THEN TO_HEX(CAST(piece AS BYTES))
                    WHEN REGEXP_CONTAINS(piece, r'^[0-9A-Fa-f]{2}')
                      THEN CONCAT(SUBSTR(piece, 1, 2), TO_HEX(CAST(SUBSTR(piece, 3) AS BYTES)))
                    ELSE TO_HEX(CAST(CONCAT('%', piece) AS BYTES))
                  END,
                  ''
                  ORDER BY position
                )
              FROM UNNEST(SPLIT(SUBSTR(part, STRPOS(part, '=') + 1), '%')) AS piece WITH OFFSET AS position
            ) AS hex
          )
        FROM
          (
            SELECT part, SUBSTR(part, 1, STRPOS(part, '=') - 1) AS field
            FROM UNNEST(SPLIT(form, '&')) AS part
            WHERE STARTS_WITH(part, 'Referral') AND STRPOS(part, '=') > 0
          )
      ) AS fields
    FROM told
  ),
  fields AS (
    SELECT
      metadata_id,
      occurred_date,
      MIN(IF(each.field = 'ReferralSourceId', SAFE_CONVERT_BYTES_TO_STRING(FROM_HEX(each.hex)), NULL)) AS source_id,
      MIN(IF(each.field = 'ReferralSourceType', SAFE_CONVERT_BYTES_TO_STRING(FROM_HEX(each.hex)), NULL)) AS source_type,
      MIN(IF(each.field = 'ReferralSourceUrl', SAFE_CONVERT_BYTES_TO_STRING(FROM_HEX(each.hex)), NULL)) AS source_url,
      MIN(IF(each.field = 'ReferralHeadline', SAFE_CONVERT_BYTES_TO_STRING(FROM_HEX(each.hex)), NULL)) AS headline,
      MIN(IF(each.field = 'ReferralBody', SAFE_CONVERT_BYTES_TO_STRING(FROM_HEX(each.hex)), NULL)) AS words,
      MIN(IF(each.field = 'ReferralCtwaClid', SAFE_CONVERT_BYTES_TO_STRING(FROM_HEX(each.hex)), NULL)) AS ctwa_clid
    FROM encoded
    CROSS JOIN UNNEST(fields) AS each
    GROUP BY metadata_id, occurred_date
  ),
  referrals AS (
    SELECT
      told.metadata_id,
      told.conversation_id,
      told.contact_id,
      told.channel_id,
      told.source,
      told.occurred_at,
      told.occurred_date,
      told.event_id,
      COALESCE(
        JSON_VALUE(told.body, '$$.referral.source_type'),
        JSON_VALUE(told.body, '$$.referral.source'),
        JSON_VALUE(told.body, '$$.message.referral.source'),
        JSON_VALUE(told.body, '$$.postback.referral.source'),
        fields.source_type
      ) AS kind,
      COALESCE(
        JSON_VALUE(told.body, '$$.referral.ad_id'),
        JSON_VALUE(told.body, '$$.message.referral.ad_id'),
        JSON_VALUE(told.body, '$$.postback.referral.ad_id'),
        JSON_VALUE(told.body, '$$.referral.source_id'),
        fields.source_id
      ) AS told_id,
      COALESCE(
        JSON_VALUE(told.body, '$$.referral.ref'),
        JSON_VALUE(told.body, '$$.message.referral.ref'),
        JSON_VALUE(told.body, '$$.postback.referral.ref')
      ) AS ref,
      COALESCE(JSON_VALUE(told.body, '$$.referral.ctwa_clid'), fields.ctwa_clid) AS ctwa_clid,
      COALESCE(
        JSON_VALUE(told.body, '$$.referral.source_url'),
        JSON_VALUE(told.body, '$$.referral.referer_uri'),
        JSON_VALUE(told.body, '$$.postback.referral.referer_uri'),
        fields.source_url
      ) AS url,
      COALESCE(
        JSON_VALUE(told.body, '$$.referral.headline'),
        JSON_VALUE(told.body, '$$.referral.ads_context_data.ad_title'),
        JSON_VALUE(told.body, '$$.message.referral.ads_context_data.ad_title'),
        JSON_VALUE(told.body, '$$.postback.referral.ads_context_data.ad_title'),
        fields.headline
      ) AS headline,
      COALESCE(JSON_VALUE(told.body, '$$.referral.body'), fields.words) AS words
    FROM told
    LEFT JOIN fields ON fields.metadata_id = told.metadata_id AND fields.occurred_date = told.occurred_date
    WHERE TRUE
    -- Told in two partitions, it is one all the same.
    QUALIFY ROW_NUMBER() OVER (PARTITION BY told.metadata_id ORDER BY told.occurred_at, told.event_id) = 1
  ),
  bounded AS (
    SELECT
      *,
      COALESCE(
        LEAD(occurred_at) OVER (PARTITION BY conversation_id ORDER BY occurred_at, metadata_id),
        TIMESTAMP '9999-12-31 00:00:00+00'
      ) AS until_at
    FROM referrals
  ),
  failed AS (
    SELECT message_id
    FROM `${views}.delivery_states`
    WHERE state IN ('failed', 'undelivered', 'canceled')
  ),
  exchanged AS (
    SELECT
      message.message_id,
      message.conversation_id,
      message.direction,
      message.sent_at
    FROM `${views}.messages` AS message
    LEFT JOIN failed ON failed.message_id = message.message_id
    WHERE message.direction = 'inbound' OR failed.message_id IS NULL
    QUALIFY ROW_NUMBER() OVER (PARTITION BY message.message_id ORDER BY message.sent_date) = 1
    UNION ALL
    SELECT message_id, conversation_id, 'outbound', sent_at
    FROM `${views}.messages_by_receipt`
    WHERE state NOT IN ('failed', 'undelivered', 'canceled')
  ),
  followed AS (
    SELECT
      bounded.metadata_id,
      MIN(IF(exchanged.direction = 'outbound', exchanged.sent_at, NULL)) AS answered_at,
      COUNTIF(exchanged.direction = 'inbound') AS inbound_messages,
      COUNTIF(exchanged.direction = 'outbound') AS outbound_messages
    FROM bounded
    INNER JOIN exchanged
      ON
        exchanged.conversation_id = bounded.conversation_id
        AND exchanged.sent_at >= bounded.occurred_at
        AND exchanged.sent_at < bounded.until_at
    GROUP BY bounded.metadata_id
  ),
  told_leaves AS (
    SELECT metadata_id, event_id, pointer, contact_id, conversation_id, occurred_at, key, value
    FROM `${views}.metadata`
    WHERE
      key IN (
        'conversion.value', 'conversion.currency', 'conversion.name', 'conversion.ctwa_clid', 'conversion.conversation_id'
      )
    -- Told in two partitions, it is one all the same, as its last telling told it.
    QUALIFY ROW_NUMBER() OVER (PARTITION BY metadata_id ORDER BY occurred_date DESC) = 1
  ),
  -- The leaves of one element of a custom source's metadata: the same event, the same place but for the last name.
  told_conversions AS (
    SELECT
      event_id,
      REGEXP_REPLACE(pointer, r'/[^/]*$$', '') AS place,
      MIN(contact_id) AS contact_id,
      MIN(conversation_id) AS conversation_id,
      MIN(occurred_at) AS converted_at,
      MIN(IF(key = 'conversion.ctwa_clid', value, NULL)) AS ctwa_clid,
      MIN(IF(key = 'conversion.conversation_id', value, NULL)) AS about_id,
      MIN(IF(key = 'conversion.name', value, NULL)) AS name,
      UPPER(MIN(IF(key = 'conversion.currency', value, NULL))) AS currency,
      MIN(IF(key = 'conversion.value', value, NULL)) AS value
    FROM told_leaves
    GROUP BY event_id, place
  ),
  -- Under which ids a conversation with one person on one channel was known before it was found out who that is.
  renamed AS (
    SELECT
      seen.conversation_id,
      MIN(CONCAT(seen.channel_id, ' ', identities.resolved_contact_id)) AS person
    FROM `${views}.counted_conversations` AS seen
    INNER JOIN `${views}.identities` AS identities
      ON
        identities.contact_id = seen.contact_id
        AND identities.source_contact_id = seen.source_conversation_id
    GROUP BY seen.conversation_id
  ),
  conversions AS (
    SELECT
      *,
      -- What is no amount of money (nan, 1e300, a time) has no value, and does not fail the question.
      CAST(ROUND(IF(ABS(amount) < 1000000000000, amount, NULL) * 1000000) AS INT64) AS value_micros
    FROM
      (
        SELECT told_conversions.*, renamed.person, SAFE_CAST(told_conversions.value AS FLOAT64) AS amount
        FROM told_conversions
        LEFT JOIN renamed ON renamed.conversation_id = told_conversions.about_id
      )
  ),
  known_by AS (
    SELECT bounded.*, known
    FROM bounded
    CROSS JOIN
      UNNEST(
        [
          CONCAT('click ', ctwa_clid),
          CONCAT('conversation ', conversation_id),
          CONCAT('person ', channel_id, ' ', contact_id),
          CONCAT('contact ', contact_id)
        ]
      ) AS known
  ),
  -- To the latest referral before it: by the click, by the conversation that it names, or by its own.
  attributed AS (
    SELECT
      known_by.metadata_id,
      conversions.converted_at,
      conversions.name,
      conversions.currency,
      conversions.value_micros
    FROM conversions
    INNER JOIN known_by
      ON
        known_by.known = COALESCE(
          CONCAT('click ', conversions.ctwa_clid),
          CONCAT('person ', conversions.person),
          CONCAT('conversation ', COALESCE(conversions.about_id, conversions.conversation_id)),
          CONCAT('contact ', conversions.contact_id)
        )
        AND conversions.converted_at >= known_by.occurred_at
    WHERE TRUE
    QUALIFY
      ROW_NUMBER() OVER (
        PARTITION BY conversions.event_id, conversions.place ORDER BY known_by.occurred_at DESC, known_by.metadata_id
      ) = 1
  ),
  valued AS (
    SELECT
      metadata_id,
      COUNT(*) AS conversions,
      MIN(converted_at) AS first_converted_at,
      COUNT(DISTINCT IF(value_micros IS NULL, NULL, COALESCE(currency, ''))) AS currencies,
      SUM(value_micros) AS value_micros,
      MIN(IF(value_micros IS NULL, NULL, currency)) AS currency,
      MIN(name) AS name
    FROM attributed
    GROUP BY metadata_id
  )
SELECT
  -- Identity of the referral: of its metadata.
  bounded.metadata_id AS acquisition_id,
  bounded.conversation_id,
  bounded.contact_id,
  bounded.channel_id,
  bounded.source,
  -- When the contact came.
  bounded.occurred_at AS came_at,
  -- The partition of that time.
  bounded.occurred_date AS came_date,
  -- By what, in small letters: ad (also ads), post, shortlink, customer_chat_plugin, …; null where it was not told.
  IF(LOWER(bounded.kind) = 'ads', 'ad', LOWER(bounded.kind)) AS kind,
  -- The advertisement's or post's id; null where it was not told.
  bounded.told_id AS ad_id,
  -- The text that a link of yours carries (ref); null where there is none.
  bounded.ref,
  -- WhatsApp's id of the click; null elsewhere.
  bounded.ctwa_clid,
  -- The address of the advertisement, the post or the page; null where it was not told.
  bounded.url,
  -- The campaign: utm_campaign of that address, else ref; null where there is neither.
  COALESCE(REGEXP_EXTRACT(bounded.url, r'[?&]utm_campaign=([^&#]*)'), bounded.ref) AS campaign,
  -- The advertisement's title.
  bounded.headline,
  -- The advertisement's text.
  bounded.words AS ad_text,
  -- When the first message that did not fail went out after it, before the next referral; null where none did.
  followed.answered_at,
  -- Seconds from the one to the other.
  TIMESTAMP_DIFF(followed.answered_at, bounded.occurred_at, MILLISECOND) / 1000 AS first_response_seconds,
  -- How many messages the contact sent from then to the next referral, the one that carried it included.
  COALESCE(followed.inbound_messages, 0) AS inbound_messages,
  -- How many went to the contact in that time and did not fail.
  COALESCE(followed.outbound_messages, 0) AS outbound_messages,
  -- How many conversions a custom source reported; each counts for the latest referral before it.
  COALESCE(valued.conversions, 0) AS conversions,
  -- When the first of them was; null where there is none.
  valued.first_converted_at,
  -- What they were worth together, in millionths of the currency; null where no value was told, or where it is in several
  -- currencies (one that was not told among them).
  IF(valued.currencies > 1, NULL, valued.value_micros) AS value_micros,
  -- The currency of that value, in capital letters; null where there is none, or several.
  IF(valued.currencies > 1, NULL, valued.currency) AS currency,
  -- What the conversion is called, of several the first in the alphabet: Purchase, LeadSubmitted, …
  valued.name AS conversion_name,
  bounded.event_id
FROM bounded
LEFT JOIN followed ON followed.metadata_id = bounded.metadata_id
LEFT JOIN valued ON valued.metadata_id = bounded.metadata_id
