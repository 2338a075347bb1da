-- Time to first token, duration and Weir's own share, in milliseconds, by model.
SELECT
  request_model AS model,
  count(*) AS calls,
  round(approx_percentile_cont(ttft_ms, 0.5), 2) AS ttft_p50_ms,
  round(approx_percentile_cont(ttft_ms, 0.95), 2) AS ttft_p95_ms,
  round(approx_percentile_cont(ttft_ms, 0.99), 2) AS ttft_p99_ms,
  round(approx_percentile_cont(duration_ms, 0.5), 2) AS duration_p50_ms,
  round(approx_percentile_cont(duration_ms, 0.99), 2) AS duration_p99_ms,
  round(approx_percentile_cont(overhead_ms, 0.5), 3) AS overhead_p50_ms,
  round(approx_percentile_cont(overhead_ms, 0.99), 3) AS overhead_p99_ms
FROM calls
WHERE status = 'completed'
GROUP BY request_model
ORDER BY calls DESC, model
