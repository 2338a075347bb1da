-- Tokens by model: the five disjoint buckets, and how much of the prompt the provider's cache gave.
SELECT
  request_model AS model,
  count(*) AS calls,
  sum(input_tokens) AS input_tokens,
  sum(cache_read_tokens) AS cache_read_tokens,
  sum(cache_write_tokens) AS cache_write_tokens,
  sum(output_tokens) AS output_tokens,
  sum(reasoning_tokens) AS reasoning_tokens,
  round(100.0 * sum(cache_read_tokens)
    / nullif(coalesce(sum(input_tokens), 0) + coalesce(sum(cache_read_tokens), 0) + coalesce(sum(cache_write_tokens), 0), 0), 2) AS cached_percent,
  count(*) FILTER (WHERE usage_source = 'estimated') AS estimated
FROM calls
GROUP BY request_model
ORDER BY output_tokens DESC NULLS LAST, model
