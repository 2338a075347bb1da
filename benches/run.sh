#!/usr/bin/env bash
# All benchmarks: `just bench`, or `benches/run.sh [gateway] [guard] [crates]` for a part.
#
# gateway  what a call costs through Weir beside nginx, against the same mock upstream (needs nginx, wrk, python3)
# guard    the guardrails beside cerberust, Presidio and detect-secrets, on the same rows (needs python3)
# crates   the crates' own: journal, guard, provider, landing
#
# WEIR and WEIR_SLIM name binaries to measure; without them both are built with the `dist` profile.
# Results go to ~/.cache/weir/bench/out and, as tables, to standard output. Loopback only.
set -euo pipefail
cd "$(dirname "$0")/.."
parts=${*:-gateway guard crates}
target=${CARGO_TARGET_DIR:-target}
run=${WEIR_BENCH_RUN:-$HOME/.cache/weir/bench}

if [[ " $parts " == *" gateway "* ]]; then
  for tool in nginx wrk python3; do
    command -v "$tool" >/dev/null || { echo "benches/run.sh: $tool is missing (Debian: apt-get install nginx-light wrk python3)" >&2; exit 2; }
  done
  for tool in mock-upstream stream-load; do
    cargo build --release --target-dir "$run/target" --manifest-path "benches/gateway/$tool/Cargo.toml"
  done
  mkdir -p "$run/bin"
  if [[ -z ${WEIR_SLIM:-} ]]; then
    cargo build --profile dist -p weir --no-default-features --features sidecar
    cp "$target/dist/weir" "$run/bin/weir-slim"
  fi
  if [[ -z ${WEIR:-} ]]; then
    cargo build --profile dist -p weir
    cp "$target/dist/weir" "$run/bin/weir"
  fi
  export WEIR=${WEIR:-$run/bin/weir} WEIR_SLIM=${WEIR_SLIM:-$run/bin/weir-slim} WEIR_BENCH_RUN=$run
  python3 benches/gateway/bench.py
  python3 benches/gateway/report.py
fi

if [[ " $parts " == *" guard "* ]]; then
  benches/guard/run.sh
fi

if [[ " $parts " == *" crates "* ]]; then
  cargo bench -p weir-journal --bench append
  cargo bench -p weir-guard --bench scan
  cargo bench -p weir-provider --bench parse
  cargo bench -p weir-lake --bench landing
fi
