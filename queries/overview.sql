-- The last 24 hours at a glance: calls, how they ended, tokens, cost, times.
SELECT
  count(*) AS calls,
  count(*) FILTER (WHERE status = 'completed') AS completed,
  count(*) FILTER (WHERE status = 'failed') AS failed,
  count(*) FILTER (WHERE status = 'blocked') AS blocked,
  count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
  count(*) FILTER (WHERE status = 'interrupted') AS interrupted,
  coalesce(sum(input_tokens), 0) + coalesce(sum(cache_read_tokens), 0) + coalesce(sum(cache_write_tokens), 0) AS prompt_tokens,
  coalesce(sum(output_tokens), 0) + coalesce(sum(reasoning_tokens), 0) AS answer_tokens,
  round(sum(cost_nano_usd) / 1e9, 6) AS cost_usd,
  round(approx_percentile_cont(duration_ms, 0.5), 1) AS p50_ms,
  round(approx_percentile_cont(duration_ms, 0.99), 1) AS p99_ms
FROM calls
WHERE started_at >= now() - INTERVAL '24 hours'
