-- Each message as a person reads it: text, captions, choices and attachments of every source, decoded from content.
-- A filter on sent_date prunes.
WITH
  forms AS (
    SELECT
      *,
      IF(
        content_type = 'application/x-www-form-urlencoded',
        CONCAT('&', REGEXP_REPLACE(REPLACE(REPLACE(content, '"', '%22'), '\\', '%5C'), r'[[:cntrl:]]', '+')),
        NULL
      ) AS form
    FROM `${views}.messages`
  ),
  tokenized AS (
    SELECT
      * EXCEPT (form),
      -- A form becomes the hexadecimal of a JSON object, token by token, so that all sources are read alike below.
      (
        SELECT
          STRING_AGG(
            CASE
              WHEN STARTS_WITH(token, '&')
                THEN TO_HEX(CAST(CONCAT('","', REGEXP_REPLACE(token, r'[^\w.-]', ''), '":"') AS BYTES))
              WHEN token = '+' THEN '20'
              WHEN token = '%00' THEN ''
              WHEN UPPER(token) IN ('%22', '%5C') THEN CONCAT('5c', SUBSTR(token, 2))
              WHEN REGEXP_CONTAINS(token, r'^%[01].') THEN CONCAT('5c753030', TO_HEX(CAST(SUBSTR(token, 2) AS BYTES)))
              WHEN REGEXP_CONTAINS(token, r'^%.') THEN SUBSTR(token, 2)
              ELSE TO_HEX(CAST(token AS BYTES))
            END,
            ''
            ORDER BY position
          )
        FROM
          UNNEST(REGEXP_EXTRACT_ALL(form, r'&[^=&]*=?|\+|%[0-9A-Fa-f]{2}|[^%+&]+|%')) AS token WITH OFFSET AS position
      ) AS form_members
    FROM forms
  ),
  decoded AS (
    SELECT
      * EXCEPT (form_members),
      CASE
        WHEN form_members IS NOT NULL
          THEN SAFE_CONVERT_BYTES_TO_STRING(FROM_HEX(CONCAT('7b22223a22', form_members, '227d')))
        WHEN SAFE.JSON_QUERY(content, '$$') IS NOT NULL THEN content
        -- What strict JSON refuses and sources send all the same: lone surrogates and bare control characters.
        ELSE
          REGEXP_REPLACE(
            REGEXP_REPLACE(
              REGEXP_REPLACE(
                REGEXP_REPLACE(content, r'[\x00-\x1f]', ' '),
                r'\\u([dD][89abAB]..)\\u([dD][c-fC-F]..)',
                r'\\U\1\2'
              ),
              r'\\u[dD][89a-fA-F]..',
              r'\\ufffd'
            ),
            r'\\U(....)(....)',
            r'\\u\1\\u\2'
          )
      END AS json
    FROM tokenized
  ),
  unwrapped AS (
    SELECT
      * EXCEPT (json),
      COALESCE(
        SAFE.JSON_QUERY(json, '$$.payload.message.content'),
        SAFE.JSON_QUERY(json, '$$.content'),
        SAFE.JSON_QUERY(json, '$$')
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
        REPLACE(SPLIT(media_type, '/')[SAFE_OFFSET(0)], 'application', 'file') AS type,
        url AS url,
        CAST(NULL AS STRING) AS source_id,
        media_type AS media_type,
        CAST(NULL AS STRING) AS file_name,
        CAST(NULL AS STRING) AS caption
      FROM
        (
          SELECT
            number,
            SUBSTR(
              REGEXP_EXTRACT(json, CONCAT('"MediaUrl', CAST(number AS STRING), '":"[^"]+')),
              LENGTH('"MediaUrl0":"') + 1
            ) AS url,
            SUBSTR(
              REGEXP_EXTRACT(json, CONCAT('"MediaContentType', CAST(number AS STRING), '":"[^"]+')),
              LENGTH('"MediaContentType0":"') + 1
            ) AS media_type
          FROM UNNEST(GENERATE_ARRAY(0, 9)) AS number
        )
      WHERE url IS NOT NULL
      ORDER BY number
    )
  ) AS attachments,
  flags,
  event_id,
  received_at
FROM unwrapped
