-- The rate card: what an analyst says that messages cost. `parley rates check` looks for mistakes in it.
SELECT
  source,
  direction,
  category,
  number_prefix,
  unit,
  price_micros,
  currency,
  valid_from,
  valid_until
FROM `${rows}.rates`
