-- Each acquisition that brought a conversion as an event of Meta's conversions API for business messaging: a JSON object to post
-- as an element of data. What Parley does not know must be added before: of WhatsApp the account's id
-- (user_data.whatsapp_business_account_id), of Messenger and Instagram the page's or account's id is the channel's.
WITH
  ids AS (
    SELECT channel_id, source_channel_id
    FROM `${views}.channels`
  ),
  people_ids AS (
    SELECT contact_id, source_contact_id
    FROM `${views}.contacts`
  )
SELECT
  came.acquisition_id,
  came.source,
  -- When the first conversion was.
  came.first_converted_at AS converted_at,
  -- The event, as JSON.
  CONCAT(
    '{"event_name":',
    TO_JSON_STRING(COALESCE(came.conversion_name, 'Purchase')),
    ',"event_time":',
    CAST(UNIX_SECONDS(came.first_converted_at) AS STRING),
    ',"event_id":',
    TO_JSON_STRING(came.acquisition_id),
    ',"action_source":"business_messaging","messaging_channel":',
    TO_JSON_STRING(CASE came.source WHEN 'facebook' THEN 'messenger' WHEN 'instagram' THEN 'instagram' ELSE 'whatsapp' END),
    ',"user_data":{',
    CASE came.source
      WHEN 'facebook'
        THEN
          CONCAT(
            '"page_id":', TO_JSON_STRING(ids.source_channel_id),
            ',"page_scoped_user_id":', TO_JSON_STRING(people_ids.source_contact_id)
          )
      WHEN 'instagram'
        THEN
          CONCAT(
            '"instagram_business_account_id":', TO_JSON_STRING(ids.source_channel_id),
            ',"ig_sid":', TO_JSON_STRING(people_ids.source_contact_id)
          )
      ELSE CONCAT('"ctwa_clid":', TO_JSON_STRING(came.ctwa_clid))
    END,
    '}',
    IF(
      came.value_micros IS NULL OR came.currency IS NULL,
      '',
      CONCAT(
        ',"custom_data":{"currency":',
        TO_JSON_STRING(came.currency),
        ',"value":',
        -- A decimal number without an exponent, whatever the engine's way to write one is.
        IF(came.value_micros < 0, '-', ''),
        CAST(ABS(DIV(came.value_micros, 1000000)) AS STRING),
        '.',
        LPAD(CAST(ABS(MOD(came.value_micros, 1000000)) AS STRING), 6, '0'),
        '}'
      )
    ),
    '}'
  ) AS event
FROM `${views}.acquisitions` AS came
LEFT JOIN ids ON ids.channel_id = came.channel_id
LEFT JOIN people_ids ON people_ids.contact_id = came.contact_id
WHERE
  came.conversions > 0
  AND (
    (came.source IN ('whatsapp', 'twilio.whatsapp') AND came.ctwa_clid IS NOT NULL)
    OR came.source IN ('facebook', 'instagram')
  )
