-- Each message as a person reads it: text, captions, choices and attachments of every source, decoded from content.
-- A filter on sent_date prunes.
WITH
  -- Of a custom source, what its mapping reads: the places in it that the reading names, put together as JSON.
  readable AS (
    SELECT
      * EXCEPT (content, content_type, reading),
      IF(reading IS NULL, content_type, 'application/json') AS content_type,
      IF(
        reading IS NULL,
        content,
        (
          SELECT
            STRING_AGG(
              IF(
                MOD(position, 2) = 0,
                piece,
                SUBSTR(
                  content,
                  SAFE_CAST(SPLIT(piece, ':')[SAFE_OFFSET(0)] AS INT64),
                  SAFE_CAST(SPLIT(piece, ':')[SAFE_OFFSET(1)] AS INT64)
                )
              ),
              ''
              ORDER BY position
            )
          FROM UNNEST(SPLIT(reading, '|')) AS piece WITH OFFSET AS position
        )
      ) AS content
    FROM `${views}.messages`
  ),
  escaped AS (
    SELECT
      *,
      -- A form becomes a JSON object, so that all sources are read alike below; its bytes are still percent-encoded.
      CONCAT(
        '{"":"',
        REGEXP_REPLACE(
          REGEXP_REPLACE(CONCAT('&', REPLACE(form, '+', ' ')), r'&([^=&]*)=?', r'","\1":"'),
          r'%(22|5[Cc]|[01][0-9A-Fa-f])',
          r'%5Cu00\1'
        ),
        '"}'
      ) AS form_as_json
    FROM
      (
        SELECT
          *,
          -- What JSON takes in no string, escaped. Bytes that a form leaves unescaped are UTF-8 and stay as they are.
          -- https://url.spec.whatwg.org/#urlencoded-parsing
          IF(
            content_type = 'application/x-www-form-urlencoded',
            REGEXP_REPLACE(
              REPLACE(REPLACE(REPLACE(content, '"', '%22'), '\\', '%5C'), '%00', ''), r'[[:cntrl:]]', '+'
            ),
            NULL
          ) AS form
        FROM readable
      )
  ),
  unescaped AS (
    SELECT
      *,
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
        FROM UNNEST(SPLIT(form_as_json, '%')) AS piece WITH OFFSET AS position
      ) AS form_as_hex
    FROM escaped
  ),
  decoded AS (
    SELECT
      *,
      CASE
        WHEN form IS NOT NULL THEN SAFE_CONVERT_BYTES_TO_STRING(FROM_HEX(form_as_hex))
        -- Parsed and written again: JSON functions over text make of an escaped emoji two replacement characters.
        -- What strict JSON refuses and sources send all the same is mended: lone surrogates, bare control characters.
        ELSE
          TO_JSON_STRING(
            COALESCE(
              SAFE.PARSE_JSON(content, wide_number_mode => 'round'),
              SAFE.PARSE_JSON(
                REGEXP_REPLACE(
                  REGEXP_REPLACE(
                    REGEXP_REPLACE(
                      REGEXP_REPLACE(content, r'[[:cntrl:]]', ' '),
                      r'\\u([dD][89abAB]..)\\u([dD][c-fC-F]..)',
                      r'\\U\1\2'
                    ),
                    r'\\u[dD][89a-fA-F]..',
                    r'\\ufffd'
                  ),
                  r'\\U(....)(....)',
                  r'\\u\1\\u\2'
                ),
                wide_number_mode => 'round'
              )
            )
          )
      END AS whole
    FROM unescaped
  ),
  unwrapped AS (
    SELECT
      *,
      COALESCE(
        SAFE.JSON_QUERY(whole, '$$.payload.message.content'),
        SAFE.JSON_QUERY(whole, '$$.content'),
        -- Meta's older form, and its dashboard's test: the change of a field is a message.
        IF(
          SAFE.JSON_QUERY(whole, '$$.value.sender') IS NOT NULL, SAFE.JSON_QUERY(whole, '$$.value'), NULL
        ),
        SAFE.JSON_QUERY(whole, '$$')
      ) AS json
    FROM decoded
  ),
  -- The first attachment, and of a template what its first card shows: Messenger and Instagram nest it differently.
  unfolded AS (
    SELECT
      *,
      COALESCE(
        JSON_QUERY(attachment, '$$.payload.elements[0]'),
        JSON_QUERY(attachment, '$$.payload.generic.elements[0]'),
        JSON_QUERY(attachment, '$$.payload.product.elements[0]')
      ) AS card
    FROM
      (
        SELECT
          *,
          COALESCE(
            JSON_QUERY(json, '$$.message.attachments[0]'),
            JSON_QUERY(json, '$$.message.attachment'),
            JSON_QUERY(json, '$$.attachments[0]'),
            JSON_QUERY(json, '$$.attachment')
          ) AS attachment
        FROM unwrapped
      )
  )
SELECT
  message_id,
  conversation_id,
  contact_id,
  channel_id,
  source,
  source_message_id,
  direction,
  sender_id,
  kind,
  sent_at,
  sent_date,
  -- What was written, else the caption, else the label that was pressed, else the place that was shared, else the title
  -- of what was; null where there is nothing to read.
  COALESCE(
    NULLIF(JSON_VALUE(json, '$$.message.text'), ''),
    NULLIF(JSON_VALUE(json, '$$.text.body'), ''),
    NULLIF(JSON_VALUE(json, '$$.Body'), ''),
    NULLIF(JSON_VALUE(json, '$$.data.body'), ''),
    NULLIF(JSON_VALUE(json, '$$.text'), ''),
    NULLIF(JSON_VALUE(json, '$$'), ''),
    NULLIF(JSON_VALUE(json, '$$.message'), ''),
    NULLIF(JSON_VALUE(json, '$$.body'), ''),
    NULLIF(JSON_VALUE(json, '$$.image.caption'), ''),
    NULLIF(JSON_VALUE(json, '$$.video.caption'), ''),
    NULLIF(JSON_VALUE(json, '$$.document.caption'), ''),
    NULLIF(JSON_VALUE(json, '$$.interactive.button_reply.title'), ''),
    NULLIF(JSON_VALUE(json, '$$.interactive.list_reply.title'), ''),
    NULLIF(JSON_VALUE(json, '$$.interactive.nfm_reply.body'), ''),
    NULLIF(JSON_VALUE(json, '$$.interactive.body.text'), ''),
    NULLIF(JSON_VALUE(json, '$$.button.text'), ''),
    NULLIF(JSON_VALUE(json, '$$.postback.title'), ''),
    NULLIF(JSON_VALUE(json, '$$.suggestionResponse.text'), ''),
    NULLIF(JSON_VALUE(json, '$$.ButtonText'), ''),
    NULLIF(JSON_VALUE(json, '$$.ListTitle'), ''),
    NULLIF(JSON_VALUE(json, '$$.actions[0].text.text'), ''),
    NULLIF(JSON_VALUE(json, '$$.order.text'), ''),
    NULLIF(JSON_VALUE(json, '$$.location.name'), ''),
    NULLIF(JSON_VALUE(json, '$$.location.address'), ''),
    NULLIF(JSON_VALUE(json, '$$.Label'), ''),
    NULLIF(JSON_VALUE(json, '$$.Address'), ''),
    CONCAT(JSON_VALUE(json, '$$.location.latitude'), ', ', JSON_VALUE(json, '$$.location.longitude')),
    CONCAT(
      JSON_VALUE(attachment, '$$.payload.coordinates.lat'),
      ', ',
      JSON_VALUE(attachment, '$$.payload.coordinates.long')
    ),
    CONCAT(JSON_VALUE(json, '$$.message.location.lat'), ', ', JSON_VALUE(json, '$$.message.location.lon')),
    CONCAT(JSON_VALUE(json, '$$.Latitude'), ', ', JSON_VALUE(json, '$$.Longitude')),
    NULLIF(JSON_VALUE(attachment, '$$.payload.text'), ''),
    NULLIF(JSON_VALUE(attachment, '$$.payload.button.text'), ''),
    NULLIF(JSON_VALUE(card, '$$.title'), ''),
    NULLIF(JSON_VALUE(attachment, '$$.payload.title'), ''),
    NULLIF(JSON_VALUE(attachment, '$$.title'), ''),
    NULLIF(JSON_VALUE(json, '$$.title'), ''),
    NULLIF(JSON_VALUE(json, '$$.richCard.standaloneCard.cardContent.title'), ''),
    NULLIF(JSON_VALUE(json, '$$.richCard.carouselCard.cardContents[0].title'), '')
  ) AS text,
  -- What a pressed button, quick reply, list row or form sends to the program behind it, else the label that was
  -- pressed; null where nothing was chosen.
  COALESCE(
    NULLIF(JSON_VALUE(json, '$$.message.quick_reply.payload'), ''),
    NULLIF(JSON_VALUE(json, '$$.postback.payload'), ''),
    NULLIF(JSON_VALUE(json, '$$.interactive.button_reply.id'), ''),
    NULLIF(JSON_VALUE(json, '$$.interactive.list_reply.id'), ''),
    NULLIF(JSON_VALUE(json, '$$.interactive.nfm_reply.response_json'), ''),
    NULLIF(JSON_VALUE(json, '$$.interactive.call_permission_reply.response'), ''),
    NULLIF(JSON_VALUE(json, '$$.button.payload'), ''),
    NULLIF(JSON_VALUE(json, '$$.suggestionResponse.postbackData'), ''),
    NULLIF(JSON_VALUE(json, '$$.postbackData'), ''),
    NULLIF(JSON_VALUE(json, '$$.ButtonPayload'), ''),
    NULLIF(JSON_VALUE(json, '$$.ListId'), ''),
    NULLIF(JSON_VALUE(json, '$$.InteractiveData'), ''),
    NULLIF(JSON_VALUE(json, '$$.actions[0].value'), ''),
    NULLIF(JSON_VALUE(json, '$$.actions[0].selected_option.value'), ''),
    NULLIF(JSON_VALUE(json, '$$.actions[0].action_id'), ''),
    IF(
      JSON_QUERY(json, '$$.message.quick_reply') IS NOT NULL, NULLIF(JSON_VALUE(json, '$$.message.text'), ''), NULL
    ),
    NULLIF(JSON_VALUE(json, '$$.postback.title'), ''),
    NULLIF(JSON_VALUE(json, '$$.interactive.button_reply.title'), ''),
    NULLIF(JSON_VALUE(json, '$$.interactive.list_reply.title'), ''),
    NULLIF(JSON_VALUE(json, '$$.button.text'), ''),
    NULLIF(JSON_VALUE(json, '$$.suggestionResponse.text'), ''),
    NULLIF(JSON_VALUE(json, '$$.ButtonText'), ''),
    NULLIF(JSON_VALUE(json, '$$.ListTitle'), '')
  ) AS choice,
  -- The source's own id of the message that this one answers; null where it quotes none.
  COALESCE(
    JSON_VALUE(json, '$$.message.reply_to.mid'),
    JSON_VALUE(json, '$$.context.id'),
    NULLIF(JSON_VALUE(json, '$$.OriginalRepliedMessageSid'), '')
  ) AS reply_to_source_message_id,
  -- The source's own id of the story that this message answers (Instagram); null where it answers none.
  JSON_VALUE(json, '$$.message.reply_to.story.id') AS reply_to_story_id,
  -- The address of that story; it expires.
  JSON_VALUE(json, '$$.message.reply_to.story.url') AS reply_to_story_url,
  -- What came with it: type (image, video, audio, file, location, contacts, template, …), the address and the source's id
  -- of the file, its media type, name, size in bytes where told, and caption or title. Addresses of some sources expire.
  ARRAY_CONCAT(
    ARRAY(
      SELECT AS STRUCT
        COALESCE(
          JSON_VALUE(item, '$$.type'), type, JSON_VALUE(json, '$$.type'), JSON_VALUE(json, '$$.message.type')
        ) AS type,
        COALESCE(
          JSON_VALUE(item, '$$.payload.url'),
          JSON_VALUE(item, '$$.url'),
          JSON_VALUE(item, '$$.URL'),
          JSON_VALUE(item, '$$.link'),
          JSON_VALUE(item, '$$.media'),
          JSON_VALUE(item, '$$.payload.elements[0].image_url'),
          JSON_VALUE(item, '$$.payload.generic.elements[0].image_url'),
          JSON_VALUE(item, '$$.payload.product.elements[0].image_url'),
          JSON_VALUE(item, '$$.payload.elements[0].url')
        ) AS url,
        COALESCE(
          JSON_VALUE(item, '$$.id'),
          JSON_VALUE(item, '$$.payload.sticker_id'),
          JSON_VALUE(item, '$$.payload.reel_video_id'),
          JSON_VALUE(item, '$$.payload.ig_post_media_id'),
          JSON_VALUE(item, '$$.payload.attachment_id'),
          JSON_VALUE(item, '$$.payload.elements[0].attachment_id'),
          JSON_VALUE(item, '$$.payload.product.elements[0].id'),
          JSON_VALUE(item, '$$.product_retailer_id'),
          JSON_VALUE(item, '$$.catalog_id')
        ) AS source_id,
        JSON_VALUE(item, '$$.mime_type') AS media_type,
        COALESCE(JSON_VALUE(item, '$$.filename'), JSON_VALUE(item, '$$.file_name')) AS file_name,
        SAFE_CAST(
          COALESCE(
            JSON_VALUE(item, '$$.file_size'), JSON_VALUE(item, '$$.size'), JSON_VALUE(item, '$$.payload.size')
          ) AS INT64
        ) AS size_bytes,
        COALESCE(
          JSON_VALUE(item, '$$.caption'),
          JSON_VALUE(item, '$$.title'),
          JSON_VALUE(item, '$$.payload.title'),
          JSON_VALUE(item, '$$.name'),
          JSON_VALUE(item, '$$.name.formatted_name'),
          TRIM(REGEXP_EXTRACT(JSON_VALUE(item, '$$.vcard'), r'(?:^|\n)FN[^:\n]*:([^\r\n]+)')),
          JSON_VALUE(item, '$$.phones[0].phone'),
          JSON_VALUE(item, '$$.payload.elements[0].title'),
          JSON_VALUE(item, '$$.payload.generic.elements[0].title'),
          JSON_VALUE(item, '$$.payload.product.elements[0].title'),
          JSON_VALUE(item, '$$.payload.text'),
          JSON_VALUE(item, '$$.payload.button.text'),
          JSON_VALUE(item, '$$.address')
        ) AS caption
      FROM
        (
          SELECT item, 0 AS list, nth AS position, CAST(NULL AS STRING) AS type
          FROM UNNEST(SAFE.JSON_QUERY_ARRAY(json, '$$.message.attachments')) AS item WITH OFFSET AS nth
          UNION ALL
          SELECT item, 1, nth, NULL
          FROM UNNEST(SAFE.JSON_QUERY_ARRAY(json, '$$.attachments')) AS item WITH OFFSET AS nth
          UNION ALL
          -- Contact cards have no type of their own, only what a person's number or address is used for.
          SELECT item, 2, nth, 'contacts'
          FROM UNNEST(SAFE.JSON_QUERY_ARRAY(json, '$$.contacts')) AS item WITH OFFSET AS nth
          UNION ALL
          SELECT item, 4, nth, 'product'
          FROM
            UNNEST(
              [JSON_QUERY(json, '$$.context.referred_product'), JSON_QUERY(json, '$$.message.referral.product')]
            ) AS item WITH OFFSET AS nth
          UNION ALL
          SELECT item, 3, nth, NULL
          FROM
            UNNEST(
              [
                JSON_QUERY(json, '$$.message.attachment'),
                JSON_QUERY(json, '$$.attachment'),
                JSON_QUERY(json, '$$.image'),
                JSON_QUERY(json, '$$.video'),
                JSON_QUERY(json, '$$.audio'),
                JSON_QUERY(json, '$$.voice'),
                JSON_QUERY(json, '$$.document'),
                JSON_QUERY(json, '$$.sticker'),
                JSON_QUERY(json, '$$.location'),
                JSON_QUERY(json, '$$.order'),
                JSON_QUERY(json, '$$.template'),
                JSON_QUERY(json, '$$.message.location'),
                IF(JSON_QUERY(json, '$$.message.media') IS NOT NULL, JSON_QUERY(json, '$$.message'), NULL)
              ]
            ) AS item WITH OFFSET AS nth
        )
      WHERE item IS NOT NULL
      ORDER BY list, position
    ),
    ARRAY(
      SELECT AS STRUCT
        CASE
          WHEN JSON_VALUE(media_type, '$$') IN ('text/vcard', 'text/x-vcard', 'text/directory') THEN 'contacts'
          WHEN REGEXP_CONTAINS(JSON_VALUE(media_type, '$$'), r'^(?:image|audio|video)/')
            THEN SPLIT(JSON_VALUE(media_type, '$$'), '/')[SAFE_OFFSET(0)]
          ELSE 'file'
        END AS type,
        JSON_VALUE(url, '$$') AS url,
        CAST(NULL AS STRING) AS source_id,
        JSON_VALUE(media_type, '$$') AS media_type,
        CAST(NULL AS STRING) AS file_name,
        CAST(NULL AS INT64) AS size_bytes,
        CAST(NULL AS STRING) AS caption
      FROM
        (
          SELECT
            number,
            -- Each a JSON string, behind its key of known length.
            SUBSTR(REGEXP_EXTRACT(whole, CONCAT('"MediaUrl', number, '":"[^"]+"')), 13) AS url,
            SUBSTR(REGEXP_EXTRACT(whole, CONCAT('"MediaContentType', number, '":"[^"]+"')), 21) AS media_type
          FROM UNNEST(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) AS number
        )
      WHERE url IS NOT NULL
      ORDER BY number
    )
  ) AS attachments,
  flags,
  event_id,
  received_at
FROM unfolded
