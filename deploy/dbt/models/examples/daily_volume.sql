{#
  Messages of each day, source and channel. A day's numbers change while redeliveries and late messages come, so each
  run makes the last days again and leaves the others as they are.
#}
{{
  config(
    materialized = 'incremental',
    incremental_strategy = 'insert_overwrite',
    partition_by = {'field': 'sent_date', 'data_type': 'date'},
  )
}}
SELECT sent_date, source, channel_id, messages, inbound_messages, outbound_messages, conversations, contacts
FROM {{ source('parley', 'daily_activity') }}
{% if is_incremental() %}
WHERE sent_date >= DATE_SUB(CURRENT_DATE(), INTERVAL {{ var('parley_days_made_again', 3) }} DAY)
{% endif %}
