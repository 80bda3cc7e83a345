-- What `pipelines/sources/facebook.py` extracts from the sample world's bodies, as DuckDB would write it.
-- It has no UUIDv5: ids are MD5 here, which costs less. Nothing is tolerated and no item fails alone.
-- OUTPUT stands for a folder; the variable `segments` is the list of Avro files.
CREATE TEMP TABLE raw AS
SELECT
  attributes['event_id'] AS event_id,
  attributes['source'] AS source,
  attributes['content_type'] AS content_type,
  attributes['verified_by'] AS verified_by,
  CAST(attributes['received_at'] AS TIMESTAMP) AS received_at,
  data,
  decode(data) AS body
FROM read_avro(getvariable('segments'));

CREATE TEMP TABLE entry AS
SELECT
  event_id, received_at,
  CASE json_extract_string(body, '$.object') WHEN 'page' THEN 'facebook' ELSE 'instagram' END AS source,
  unnest(json_extract(body, '$.entry[*]')) AS entry,
  generate_subscripts(json_extract(body, '$.entry[*]'), 1) - 1 AS entry_n
FROM raw;

CREATE TEMP TABLE item AS
SELECT
  event_id, received_at, source, channel, content, pointer,
  said[1] AS sender, said[2] AS recipient, make_timestamp(CAST(said[3] AS BIGINT) * 1000) AS happened, said[3] AS at_raw,
  said[4] AS mid, said[5] AS is_echo, said[6] AS is_deleted,
  said[7] AS edit_mid, said[8] AS edit_text, said[9] AS reaction_mid, said[10] AS emoji,
  said[11] AS delivered_watermark, said[12] AS read_watermark, said[13] AS read_mid,
  json_extract_string(content, '$.delivery.mids[*]') AS delivered_mids,
  if(said[1] = channel, said[2], said[1]) AS contact,
  md5('channel' || source || channel) AS channel_id,
  md5('contact' || source || channel || if(said[1] = channel, said[2], said[1])) AS contact_id,
  md5('conversation' || source || channel || if(said[1] = channel, said[2], said[1])) AS conversation_id
FROM (
  SELECT
    event_id, received_at, source, json_extract_string(entry, '$.id') AS channel, content,
    '/entry/' || entry_n || '/messaging/' || n AS pointer,
    json_extract_string(content, [
      '$.sender.id', '$.recipient.id', '$.timestamp', '$.message.mid', '$.message.is_echo', '$.message.is_deleted',
      '$.message_edit.mid', '$.message_edit.text', '$.reaction.mid', '$.reaction.emoji',
      '$.delivery.watermark', '$.read.watermark', '$.read.mid'
    ]) AS said
  FROM (
    SELECT
      event_id, received_at, source, entry, entry_n,
      unnest(json_extract(entry, '$.messaging[*]')) AS content,
      generate_subscripts(json_extract(entry, '$.messaging[*]'), 1) - 1 AS n
    FROM entry
  )
);

CREATE TEMP TABLE fact AS
SELECT *, md5('message' || channel_id || of_mid) AS subject_id FROM (
  SELECT *, mid AS of_mid, 'source.deleted' AS key, 'true' AS value FROM item WHERE is_deleted = 'true'
  UNION ALL
  SELECT *, edit_mid, 'source.edited', edit_text FROM item WHERE edit_mid IS NOT NULL
  UNION ALL
  SELECT *, reaction_mid, 'reaction.emoji', emoji FROM item WHERE reaction_mid IS NOT NULL
  UNION ALL
  SELECT *, read_mid, 'source.delivery_state', 'read' FROM item WHERE read_mid IS NOT NULL
  UNION ALL
  SELECT *, unnest(delivered_mids), 'source.delivery_state', 'delivered' FROM item WHERE len(delivered_mids) > 0
  UNION ALL
  SELECT *, NULL, 'source.delivered_watermark', strftime(make_timestamp(CAST(delivered_watermark AS BIGINT) * 1000), '%Y-%m-%dT%H:%M:%S.%fZ')
  FROM item WHERE delivered_watermark IS NOT NULL
  UNION ALL
  SELECT *, NULL, 'source.read_watermark', strftime(make_timestamp(CAST(read_watermark AS BIGINT) * 1000), '%Y-%m-%dT%H:%M:%S.%fZ')
  FROM item WHERE read_watermark IS NOT NULL
);

COPY (
  SELECT
    event_id, source, received_at, 'normalized' AS outcome, octet_length(data) AS body_bytes, sha256(data) AS body_sha256,
    content_type, verified_by, 1 AS generation, now() AS processed_at
  FROM raw
) TO 'OUTPUT/events.parquet' (COMPRESSION zstd);

COPY (
  SELECT DISTINCT
    channel_id, source, channel AS source_channel_id, happened AS seen_at, CAST(happened AS DATE) AS seen_date, event_id, received_at,
    1 AS generation, now() AS processed_at
  FROM item
) TO 'OUTPUT/channels.parquet' (COMPRESSION zstd);

COPY (
  SELECT DISTINCT
    contact_id, source, contact AS source_contact_id, channel_id, happened AS seen_at, CAST(happened AS DATE) AS seen_date, event_id,
    received_at, 1 AS generation, now() AS processed_at
  FROM item
) TO 'OUTPUT/contacts.parquet' (COMPRESSION zstd);

COPY (
  SELECT DISTINCT
    conversation_id, channel_id, contact_id, source, contact AS source_conversation_id, happened AS seen_at,
    CAST(happened AS DATE) AS seen_date, event_id, received_at, 1 AS generation, now() AS processed_at
  FROM item
) TO 'OUTPUT/conversations.parquet' (COMPRESSION zstd);

COPY (
  SELECT
    md5('message' || channel_id || mid) AS message_id, conversation_id, contact_id, channel_id, source,
    mid AS source_message_id, if(is_echo = 'true', 'outbound', 'inbound') AS direction, sender AS sender_id,
    'message' AS kind, happened AS sent_at, 'item' AS sent_at_from, at_raw AS sent_at_raw, CAST(happened AS DATE) AS sent_date, content,
    'application/json' AS content_type, pointer, if(is_echo = 'true', ['echo'], []) AS flags, event_id, received_at,
    1 AS generation, now() AS processed_at
  FROM item WHERE mid IS NOT NULL AND is_deleted IS NULL
) TO 'OUTPUT/messages.parquet' (COMPRESSION zstd);

COPY (
  SELECT
    md5(coalesce(subject_id, conversation_id) || key || sha256(content)) AS metadata_id,
    if(subject_id IS NULL, 'conversation', 'message') AS subject_type, coalesce(subject_id, conversation_id) AS subject_id,
    channel_id, conversation_id, source, key, value, happened AS occurred_at, 'item' AS occurred_at_from,
    at_raw AS occurred_at_raw, CAST(happened AS DATE) AS occurred_date, content, 'application/json' AS content_type, pointer,
    event_id, received_at, 1 AS generation, now() AS processed_at
  FROM fact
) TO 'OUTPUT/metadata.parquet' (COMPRESSION zstd);
