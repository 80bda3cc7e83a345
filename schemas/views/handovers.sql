-- That a conversation passed from one to another: Messenger's and Instagram's thread control, WhatsApp's handovers, people
-- who asked Business Messages for a person, and what a custom source reports as the conversation's handover.to.
-- A filter on handed_date prunes; content is read.
WITH
  told AS (
    SELECT
      *,
      SAFE.PARSE_JSON(content, wide_number_mode => 'round') AS body
    FROM `${views}.metadata`
    WHERE key IN ('source.thread_control', 'source.live_agent_requested', 'handover.to')
  ),
  read_told AS (
    SELECT
      told.*,
      COALESCE(
        JSON_VALUE(body, '$$.pass_thread_control.new_owner_app_id'),
        JSON_VALUE(body, '$$.take_thread_control.new_owner_app_id'),
        JSON_VALUE(body, '$$.request_thread_control.requested_owner_app_id'),
        IF(key = 'handover.to', NULLIF(value, ''), NULL)
      ) AS to_id,
      COALESCE(
        JSON_VALUE(body, '$$.pass_thread_control.previous_owner_app_id'),
        JSON_VALUE(body, '$$.take_thread_control.previous_owner_app_id')
      ) AS from_id
    FROM told
  ),
  named AS (
    SELECT
      read_told.*,
      names.kind AS to_kind,
      names.name AS to_name
    FROM read_told
    LEFT JOIN `${views}.actor_names` AS names
      ON names.actor_id = read_told.to_id AND (names.source IS NULL OR names.source = read_told.source)
    WHERE key != 'source.live_agent_requested' OR value = 'true'
    QUALIFY
      ROW_NUMBER() OVER (
        PARTITION BY read_told.occurred_date, read_told.metadata_id
        ORDER BY IF(names.source IS NULL, 1, 0), names.kind, names.name
      ) = 1
  )
SELECT
  -- Identity of the fact.
  metadata_id AS handover_id,
  conversation_id,
  contact_id,
  channel_id,
  source,
  -- passed (to another), taken (from another) or requested.
  CASE key
    WHEN 'source.thread_control' THEN value
    WHEN 'handover.to' THEN 'passed'
    ELSE 'requested'
  END AS kind,
  -- When it happened.
  occurred_at AS handed_at,
  -- The partition of that time.
  occurred_date AS handed_date,
  -- To whom: the app's id, or what a custom source calls it; null where it was not told.
  to_id,
  -- human, bot or system, as actor_names says; human where a person was asked for; null where nobody says.
  COALESCE(to_kind, IF(key = 'source.live_agent_requested', 'human', NULL)) AS to_kind,
  -- Its name, as actor_names says.
  to_name,
  -- From whom: the app's id; null where it was not told.
  from_id,
  -- The note that came with it.
  COALESCE(
    JSON_VALUE(body, '$$.pass_thread_control.metadata'),
    JSON_VALUE(body, '$$.take_thread_control.metadata'),
    JSON_VALUE(body, '$$.request_thread_control.metadata'),
    JSON_VALUE(body, '$$.value.control_passed.metadata'),
    JSON_VALUE(body, '$$.value.control_taken.metadata')
  ) AS note,
  event_id
FROM named
