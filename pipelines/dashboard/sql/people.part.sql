  -- Included by other queries: whoever was told by several ids in the period and ${around} days around it is one, as far as
  -- the aliases of these days, and who settled of these days is (resolved_contacts), say it. As the view identities, which
  -- reads the aliases of all times.
  pairs AS (
    SELECT DISTINCT
      alias.source,
      alias.channel_id,
      alias.contact_id,
      alias.source_contact_id,
      alias.other_contact_id,
      alias.other_source_contact_id
    FROM `${views}.counted_aliases` AS alias
    LEFT JOIN `${views}.alias_decisions` AS decisions
      ON
        decisions.decision = 'different'
        AND decisions.contact_id = LEAST(alias.contact_id, alias.other_contact_id)
        AND decisions.other_contact_id = GREATEST(alias.contact_id, alias.other_contact_id)
    WHERE
      alias.told_date BETWEEN DATE_SUB(@first_day, INTERVAL ${around} DAY) AND DATE_ADD(@last_day, INTERVAL ${around} DAY)
      AND decisions.decision_id IS NULL
      -- Who else has had a user name takes all times to know: it links from the next parley settle on.
      AND alias.kind != 'username'
    UNION DISTINCT
    SELECT source, channel_id, contact_id, source_contact_id, resolved_contact_id, resolved_source_contact_id
    FROM `${views}.resolved_contacts`
    WHERE seen_date BETWEEN DATE_SUB(@first_day, INTERVAL ${around} DAY) AND DATE_ADD(@last_day, INTERVAL ${around} DAY)
  ),
  ends AS (
    SELECT pairs.source, CONCAT(pairs.contact_id, pairs.other_contact_id) AS alias_id, pairs.channel_id, told.contact_id, told.source_contact_id
    FROM pairs
    CROSS JOIN
      UNNEST(
        [
          STRUCT(pairs.contact_id AS contact_id, pairs.source_contact_id AS source_contact_id),
          STRUCT(pairs.other_contact_id AS contact_id, pairs.other_source_contact_id AS source_contact_id)
        ]
      ) AS told
  ),
${rounds},
  who AS (
    SELECT
      source,
      contact_id,
      source_contact_id,
      SUBSTR(MIN(label), 2, 36) AS resolved_contact_id,
      SUBSTR(MIN(label), 38) AS resolved_source_contact_id
    FROM round_6
    GROUP BY source, contact_id, source_contact_id
  ),
  -- The conversations that each of a person's ids has, or would have, on each channel of the person's (see docs/people.md).
  hashed AS (
    SELECT
      who.resolved_contact_id,
      who.contact_id,
      reached.channel_id,
      TO_HEX(
        SHA1(
          FROM_HEX(
            CONCAT(
              '1f19de65bcc8564ca0ceae43aa7e8dfa',
              TO_HEX(CAST(CONCAT('12:conversation,36:', reached.channel_id, ',') AS BYTES)),
              TO_HEX(CAST(CONCAT(CAST(BYTE_LENGTH(CAST(who.source_contact_id AS BYTES)) AS STRING), ':') AS BYTES)),
              TO_HEX(CAST(CONCAT(who.source_contact_id, ',') AS BYTES))
            )
          )
        )
      ) AS own
    FROM who
    INNER JOIN
      (
        SELECT DISTINCT who.resolved_contact_id, ends.channel_id
        FROM ends
        INNER JOIN who ON who.contact_id = ends.contact_id
      ) AS reached
      ON reached.resolved_contact_id = who.resolved_contact_id
  ),
  named AS (
    SELECT
      resolved_contact_id,
      contact_id,
      channel_id,
      CONCAT(
        SUBSTR(own, 1, 8), '-', SUBSTR(own, 9, 4), '-5', SUBSTR(own, 14, 3), '-',
        TRANSLATE(SUBSTR(own, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab'), SUBSTR(own, 18, 3), '-',
        SUBSTR(own, 21, 12)
      ) AS conversation_id
    FROM hashed
  ),
  same AS (
    SELECT
      conversation_id,
      contact_id,
      MAX(IF(contact_id = resolved_contact_id, conversation_id, NULL)) OVER (
        PARTITION BY resolved_contact_id, channel_id
      ) AS resolved_conversation_id
    FROM named
  )
