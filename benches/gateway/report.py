#!/usr/bin/env python3
"""Prints the tables from out/*.json (written by bench.py). Medians over the A/B rounds; `best` where said."""
import json, statistics as st
from pathlib import Path
import os
D = Path(os.environ.get("WEIR_BENCH_OUT", Path(os.environ.get("WEIR_BENCH_RUN", Path.home()/".cache/weir/bench"))/"out"))
order = ["nginx", "weir", "weir-slim"]
fs = sorted(D.glob("*.json"), key=lambda f: order.index(f.stem) if f.stem in order else 99)
m = lambda v: st.median(v) if v else float("nan")
R = [json.loads(f.read_text()) for f in fs]
print("## (a) saturation: req/s and CPU")
for r in R:
    for c in (32, 64):
        x = [s for s in r.get("sat", []) if s["conns"] == c]
        if not x: continue
        d, g = m([s["direct"]["rps"] for s in x]), m([s["gw"]["rps"] for s in x])
        print(f"{r['name']:13} c{c} direct {d:7.0f} gw {g:7.0f} ratio {g/d:.3f} best {max(s['gw']['rps'] for s in x):6.0f} cpu_ms/req {m([s['cpu_s_per_1k'] for s in x]):.4f} (min {min(s['cpu_s_per_1k'] for s in x):.4f}) p50 {m([s['gw']['p50_us'] for s in x]):.0f} p99 {m([s['gw']['p99_us'] for s in x]):.0f} p999 {m([s['gw']['p999_us'] for s in x]):.0f} non2xx {sum(s['gw']['non2xx'] for s in x)} mock_cpu_us {m([1e6*s['note']['mock_cpu_s']/s['gw']['requests'] for s in x]):.1f} other {m([s['note']['other_cpus'] for s in x])} load {x[-1]['note']['load1']}")
print("## (b) fixed rate, service time us: added = gw - direct, per round; median and best(min) round")
for r in R:
    for rate in sorted({s["rate"] for s in r.get("lat", [])}):
        x = [s for s in r["lat"] if s["rate"] == rate]
        x = [s for s in x if s["gw"]["service_us"]]
        o = []
        for q in ("p50", "p99", "p999"):
            a = [s["gw"]["service_us"][q] - s["direct"]["service_us"][q] for s in x]
            o.append(f"{q} +{m(a):.0f} (gw min {min(s['gw']['service_us'][q] for s in x):.0f} direct min {min(s['direct']['service_us'][q] for s in x):.0f})")
        print(f"{r['name']:13} {rate}rps got {m([s['gw']['achieved_rps'] for s in x])} err {sum(s['gw']['errors'] for s in x)}: {'; '.join(o)}; cpu_ms/req {m([s['cpu_s_per_1k'] for s in x]):.3f} other {m([s['note']['other_cpus'] for s in x])}")
print("## (c) streaming, 32 streams x 200 chunks, 10 ms apart")
for r in R:
    for s in r.get("stream", []):
        d, g = s["direct"], s["gw"]
        f = lambda k, q: f"{g[k][q]:.0f}/{d[k][q]:.0f}"
        print(f"{r['name']:13} gw/direct us: first byte p50 {f('first_byte_us','p50')} p99 {f('first_byte_us','p99')}; ttft p50 {f('ttft_us','p50')} p99 {f('ttft_us','p99')}; one-way p50 {f('oneway_us','p50') if g.get('oneway_us') else '-'} p99 {f('oneway_us','p99') if g.get('oneway_us') else '-'}; total p50 {f('total_us','p50')}; chunks {g['content_chunks']} err {g['errors']} done {g['with_done']} usage {g['with_usage']} frames {g['frames']} bytes/chunk {g['bytes']/max(1,g['content_chunks']):.0f} cpu_s/1k {s['cpu_s_per_1k_chunks']} other {s['note']['other_cpus']}")
print("## (d-f)")
for r in R:
    print(f"{r['name']:13} start {r.get('start_s')} idle {r.get('mem_idle')} after {r.get('mem_after')} procs {r.get('procs')} size_mib {r.get('size_mib')} {r.get('error','')}")
