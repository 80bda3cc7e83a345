  -- Included by the questions of reports: which messages were told themselves, and so are not known by their receipts alone. For
  -- most of its receipts a message was sent a few days before.
  reported_messages_as_told AS (
    SELECT message_id
    FROM `${rows}.messages`
    WHERE
      sent_date BETWEEN DATE_SUB(@first_day, INTERVAL ${before} DAY) AND DATE_ADD(@last_day, INTERVAL ${after} DAY)
  )
