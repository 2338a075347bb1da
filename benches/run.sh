#!/usr/bin/env bash
# All benchmarks: `just bench`, or `benches/run.sh [gateway] [guard] [crates] [kafka]` for a part.
#
# gateway  what a call costs through Weir beside nginx, against the same mock upstream (needs nginx, wrk, python3)
# guard    the guardrails beside cerberust, Presidio and detect-secrets, on the same rows (needs python3)
# crates   the crates' own: journal, guard, provider, landing
# kafka    shipping to and landing from a real broker, which it starts (needs Java 17, Maven)
#
# WEIR and WEIR_SLIM name binaries to measure; without them both are built as they are shipped.
# Results go to ~/.cache/weir/bench/out and, as tables, to standard output. Loopback only.
set -euo pipefail
cd "$(dirname "$0")/.."
parts=${*:-gateway guard crates kafka}
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
    packaging/slim.sh "$run/bin/weir-slim"
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

if [[ " $parts " == *" kafka "* ]]; then
  broker=$(mktemp -d)
  trap 'tests/kafka/kafka.sh kill --dir "$broker"; rm -rf "$broker"' EXIT
  KAFKA_BOOTSTRAP=$(taskset -c 1 tests/kafka/kafka.sh up --dir "$broker" --port 0 --parent $$)
  export KAFKA_BOOTSTRAP
  cargo bench -p weir-stream --bench shipping --no-run
  # One core for us, the other for the broker.
  taskset -c 0 cargo bench -p weir-stream --bench shipping
  cargo bench -p weir-lake --bench kafka
fi
