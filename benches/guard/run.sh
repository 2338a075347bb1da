#!/usr/bin/env bash
# Weir's guardrails beside the crate cerberust, Presidio (patterns only) and detect-secrets, on the same rows, counted by
# the same code, in one run. Where a tool cannot be installed, it is left out, and that is said. Writes
# docs/guard-quality.md anew.
#
# WEIR_GUARD_DATA  folder with pii, secrets and injection `.jsonl.gz` [default: src/guard/data]
# WEIR             the binary [default: built from here, release, without analytics]
set -euo pipefail
cd "$(dirname "$0")/../.."
data=${WEIR_GUARD_DATA:-src/guard/data}
run=${WEIR_BENCH_RUN:-$HOME/.cache/weir/bench}
out=$run/out/guard
mkdir -p "$out"
for set in pii secrets injection; do
  [[ -f $data/$set.jsonl.gz ]] || { echo "benches/guard/run.sh: $data/$set.jsonl.gz is missing: name the folder in WEIR_GUARD_DATA" >&2; exit 2; }
done

if [[ -z ${WEIR:-} ]]; then
  cargo build --release -p weir --no-default-features
  WEIR=${CARGO_TARGET_DIR:-target}/release/weir
fi
# Prompts to time: every tenth harmless one.
python3 - "$data/injection.jsonl.gz" > "$out/prompts.jsonl" <<'PY'
import gzip, json, sys
rows = [line for line in gzip.open(sys.argv[1], "rt", encoding="utf-8") if json.loads(line)["label"] == 0]
sys.stdout.writelines(rows[::10])
PY
files=("$data/pii.jsonl.gz" "$data/secrets.jsonl.gz" "$out/prompts.jsonl")
reports=()
count() { "$WEIR" guard eval "${files[@]}" --json --from "$out/$1.verdicts" > "$out/$1.json" && reports+=("$1=$out/$1.json"); }

"$WEIR" guard eval "${files[@]}" --json > "$out/weir, every pack.json"
reports+=("weir, every pack=$out/weir, every pack.json")
echo 'packs = ["pii", "secrets"]' > "$out/policy.toml"
"$WEIR" guard eval "${files[@]}" --json --policy "$out/policy.toml" > "$out/weir, pii and secrets.json"
reports+=("weir, pii and secrets=$out/weir, pii and secrets.json")

if cargo build --release --target-dir "$run/target" --manifest-path benches/guard/cerberust/Cargo.toml; then
  "$run/target/release/cerberust-verdicts" "${files[@]}" > "$out/cerberust.verdicts"
  count cerberust
else
  echo "cerberust: left out, it does not build here" >&2
fi

peers=$run/guard-peers
[[ -d $peers ]] || python3 -m venv "$peers"
if "$peers/bin/pip" -q install 'presidio-analyzer==2.2.366' 'detect-secrets==1.5.0'; then
  for peer in presidio presidio-all detect-secrets; do
    "$peers/bin/python" benches/guard/peers.py "$peer" "${files[@]}" > "$out/$peer.verdicts"
    count "$peer"
  done
else
  echo "Presidio and detect-secrets: left out, they do not install here" >&2
fi

python3 benches/guard/report.py "${reports[@]}" | tee "$out/report.md"
echo

# The page of figures, on every row.
"$WEIR" guard eval "$data"/*.jsonl.gz --json > "$out/quality.json"
cargo run -q --release -p weir-guard --example stream-figures -- "$data"/*.jsonl.gz > "$out/stream.json"
cargo run -q --release -p weir-guard --example train-injection -- "$data" --measure > "$out/unseen.txt"
python3 benches/guard/quality.py "$out/quality.json" "$out/stream.json" "$out/unseen.txt" "$out/report.md" "$(date -u +%F)" \
  > docs/guard-quality.md
sed -n '/^## In short/,/^## Beside/p' docs/guard-quality.md
