"""An app of the OpenAI SDK behind Weir. Only `base_url` is new; the headers are optional.

    pip install openai
    weir up                      # in another terminal, with OPENAI_API_KEY set
    python examples/python/chat.py
"""

import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8080/v1"),
    # Weir adds the provider's key if it has one; this one is for providers without.
    api_key=os.environ.get("OPENAI_API_KEY", "unused"),
    # Columns of the history: who called, for whom, in which conversation.
    default_headers={"x-weir-app": "example-python", "x-weir-session": "walkthrough", "x-weir-tags": "example,docs"},
)
model = os.environ.get("MODEL", "gpt-4o-mini")

print("— whole —")
raw = client.chat.completions.with_raw_response.create(
    model=model,
    user="ana",
    messages=[{"role": "user", "content": "Why is the sky blue? One sentence."}],
)
print(raw.parse().choices[0].message.content)
print("call", raw.headers.get("x-weir-call-id"))

print("— streamed —")
stream = client.chat.completions.create(
    model=model,
    stream=True,
    messages=[{"role": "user", "content": "Suggest a trip of three days. Two sentences."}],
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()

print("— guarded —")
answer = client.chat.completions.create(
    model=model,
    messages=[{"role": "user", "content": "Repeat: write to ana.keller@example.com."}],
)
print(answer.choices[0].message.content)
print("What the model saw: weir sql \"select request_text from calls order by started_at desc limit 1\"")
