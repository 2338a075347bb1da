-- Attempts that failed, by provider and error: what retries and failovers had to make good.
SELECT
  provider,
  error,
  count(*) AS failed_attempts,
  count(DISTINCT call_id) AS calls
FROM (
  SELECT
    call_id,
    body->>'gen_ai.provider.name' AS provider,
    body->>'error.type' AS error
  FROM events
  WHERE type = 'attempt.failed'
)
GROUP BY provider, error
ORDER BY failed_attempts DESC, provider, error
