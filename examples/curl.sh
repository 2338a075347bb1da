#!/usr/bin/env bash
# Weir with nothing but curl. Start it first: weir up (or: weir demo --stay).
set -euo pipefail
url="${OPENAI_BASE_URL:-http://127.0.0.1:8080/v1}"
model="${MODEL:-gpt-4o-mini}"
auth=(-H "authorization: Bearer ${OPENAI_API_KEY:-unused}")

echo "— whole: the answer's headers name the call —"
curl -sS -i "${auth[@]}" "$url/chat/completions" \
  -H 'content-type: application/json' -H 'x-weir-app: example-curl' -H 'x-weir-user: ana' \
  -d "{\"model\":\"$model\",\"messages\":[{\"role\":\"user\",\"content\":\"Why is the sky blue?\"}]}"
echo

echo "— streamed —"
curl -sS -N "${auth[@]}" "$url/chat/completions" \
  -H 'content-type: application/json' -H 'x-weir-app: example-curl' \
  -d "{\"model\":\"$model\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"Suggest a trip.\"}]}"

echo "— embeddings —"
curl -sS "${auth[@]}" "$url/embeddings" -H 'content-type: application/json' \
  -d '{"model":"text-embedding-3-small","input":"a blue sky","dimensions":4}'
echo

echo "— an error of Weir's has a stable code —"
curl -sS "${auth[@]}" "$url/chat/completions" -H 'content-type: application/json' -d '{"model":'
echo
