-- Error rate by model: calls, the share that did not complete, and the commonest error codes.
SELECT
  request_model AS model,
  count(*) AS calls,
  count(*) FILTER (WHERE status IN ('failed', 'interrupted')) AS failed,
  round(100.0 * count(*) FILTER (WHERE status IN ('failed', 'interrupted')) / count(*), 2) AS failed_percent,
  array_to_string(array_agg(DISTINCT error_code ORDER BY error_code) FILTER (WHERE error_code IS NOT NULL), ', ') AS error_codes
FROM calls
GROUP BY request_model
ORDER BY failed DESC, model
