-- Attempts that failed, by provider and error: what retries and failovers had to make good.
SELECT
  json_provider AS provider,
  json_error AS error,
  count(*) AS failed_attempts,
  count(DISTINCT call_id) AS calls
FROM (
  SELECT
    call_id,
    regexp_match(body, '"gen_ai\.provider\.name":"([^"]*)"')[1] AS json_provider,
    regexp_match(body, '"error\.type":"([^"]*)"')[1] AS json_error
  FROM events
  WHERE type = 'attempt.failed'
)
GROUP BY json_provider, json_error
ORDER BY failed_attempts DESC, provider, error
