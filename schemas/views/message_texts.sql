-- Each message as a person reads it: text, captions, choices and attachments of every source, decoded from content.
-- A filter on sent_date prunes.
WITH
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
          -- Whatever a form should not contain unescaped, escaped.
          IF(
            content_type = 'application/x-www-form-urlencoded',
            REGEXP_REPLACE(
              REGEXP_REPLACE(
                REPLACE(REPLACE(REPLACE(content, '"', '%22'), '\\', '%5C'), '%00', ''), r'[[:cntrl:]]', '+'
              ),
              r'[^ -~]',
              '%EF%BF%BD'
            ),
            NULL
          ) AS form
        FROM `${views}.messages`
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
        SAFE.JSON_QUERY(whole, '$$')
      ) AS json
    FROM decoded
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
  -- What was written, else the caption, else the label that was pressed, else the place that was shared; null where
  -- there is nothing to read.
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
    NULLIF(JSON_VALUE(json, '$$.button.text'), ''),
    NULLIF(JSON_VALUE(json, '$$.postback.title'), ''),
    NULLIF(JSON_VALUE(json, '$$.suggestionResponse.text'), ''),
    NULLIF(JSON_VALUE(json, '$$.ButtonText'), ''),
    NULLIF(JSON_VALUE(json, '$$.order.text'), ''),
    NULLIF(JSON_VALUE(json, '$$.location.name'), ''),
    NULLIF(JSON_VALUE(json, '$$.location.address'), ''),
    NULLIF(JSON_VALUE(json, '$$.Label'), ''),
    NULLIF(JSON_VALUE(json, '$$.Address'), ''),
    CONCAT(JSON_VALUE(json, '$$.location.latitude'), ', ', JSON_VALUE(json, '$$.location.longitude')),
    CONCAT(
      JSON_VALUE(json, '$$.message.attachments[0].payload.coordinates.lat'),
      ', ',
      JSON_VALUE(json, '$$.message.attachments[0].payload.coordinates.long')
    ),
    CONCAT(JSON_VALUE(json, '$$.Latitude'), ', ', JSON_VALUE(json, '$$.Longitude'))
  ) AS text,
  -- What a pressed button, quick reply, list row or form sends to the program behind it; null where nothing was chosen.
  COALESCE(
    JSON_VALUE(json, '$$.message.quick_reply.payload'),
    JSON_VALUE(json, '$$.postback.payload'),
    JSON_VALUE(json, '$$.interactive.button_reply.id'),
    JSON_VALUE(json, '$$.interactive.list_reply.id'),
    JSON_VALUE(json, '$$.interactive.nfm_reply.response_json'),
    JSON_VALUE(json, '$$.interactive.call_permission_reply.response'),
    JSON_VALUE(json, '$$.button.payload'),
    JSON_VALUE(json, '$$.suggestionResponse.postbackData'),
    JSON_VALUE(json, '$$.postbackData'),
    JSON_VALUE(json, '$$.ButtonPayload')
  ) AS choice,
  -- The source's own id of the message that this one answers; null where it quotes none.
  COALESCE(
    JSON_VALUE(json, '$$.message.reply_to.mid'),
    JSON_VALUE(json, '$$.context.id'),
    JSON_VALUE(json, '$$.OriginalRepliedMessageSid')
  ) AS reply_to_source_message_id,
  -- What came with it: type (image, video, audio, file, location, …), the address and the source's id of the file,
  -- its media type, name and caption. Addresses of some sources expire.
  ARRAY_CONCAT(
    ARRAY(
      SELECT AS STRUCT
        COALESCE(JSON_VALUE(item, '$$.type'), JSON_VALUE(json, '$$.type')) AS type,
        COALESCE(
          JSON_VALUE(item, '$$.payload.url'), JSON_VALUE(item, '$$.url'), JSON_VALUE(item, '$$.URL')
        ) AS url,
        COALESCE(JSON_VALUE(item, '$$.id'), JSON_VALUE(item, '$$.payload.sticker_id')) AS source_id,
        JSON_VALUE(item, '$$.mime_type') AS media_type,
        JSON_VALUE(item, '$$.filename') AS file_name,
        COALESCE(
          JSON_VALUE(item, '$$.caption'),
          JSON_VALUE(item, '$$.title'),
          JSON_VALUE(item, '$$.name'),
          JSON_VALUE(item, '$$[0].name.formatted_name')
        ) AS caption
      FROM
        UNNEST(
          ARRAY_CONCAT(
            IFNULL(SAFE.JSON_QUERY_ARRAY(json, '$$.message.attachments'), []),
            IFNULL(SAFE.JSON_QUERY_ARRAY(json, '$$.attachments'), []),
            [
              JSON_QUERY(json, '$$.message.attachment'),
              JSON_QUERY(json, '$$.attachment'),
              JSON_QUERY(json, '$$.image'),
              JSON_QUERY(json, '$$.video'),
              JSON_QUERY(json, '$$.audio'),
              JSON_QUERY(json, '$$.document'),
              JSON_QUERY(json, '$$.sticker'),
              JSON_QUERY(json, '$$.location'),
              JSON_QUERY(json, '$$.contacts'),
              JSON_QUERY(json, '$$.order')
            ]
          )
        ) AS item WITH OFFSET AS position
      WHERE item IS NOT NULL
      ORDER BY position
    ),
    ARRAY(
      SELECT AS STRUCT
        REPLACE(SPLIT(JSON_VALUE(media_type, '$$'), '/')[SAFE_OFFSET(0)], 'application', 'file') AS type,
        JSON_VALUE(url, '$$') AS url,
        CAST(NULL AS STRING) AS source_id,
        JSON_VALUE(media_type, '$$') AS media_type,
        CAST(NULL AS STRING) AS file_name,
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
FROM unwrapped
