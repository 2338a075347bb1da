"""What an app sees of guardrails: blocked input, blocked and redacted answers, whole and streamed."""

import json
import os

import openai

from common import CALL_ID, Report, client, text_of

ai = client()
report = Report()
# [name, prompt, what the model says, chunk size (0: not streamed)]
cases = json.loads(os.environ["WEIR_CASES"])
for name, prompt, say, chunk in cases:
    demo = f"delay_ms=0,say={say}" + (f",chunk={chunk}" if chunk else "")
    ask = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": prompt}],
        "extra_headers": {"x-demo": demo},
        "stream": chunk > 0,
    }
    seen = {"error": None, "text": None, "finish": None}
    try:
        raw = ai.chat.completions.with_raw_response.create(**ask)
        report.note(name, raw)
        if chunk:
            chunks = list(raw.parse())
            seen["text"] = text_of(chunks)
            seen["finish"] = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
        else:
            choice = raw.parse().choices[0]
            seen["text"] = choice.message.content
            seen["finish"] = [choice.finish_reason]
    except openai.APIStatusError as error:
        report.calls[name] = error.response.headers.get(CALL_ID)
        seen["error"] = [type(error).__name__, error.status_code, error.code, error.body["message"]]
    except openai.APIError as error:  # an error frame in the stream
        seen["error"] = [type(error).__name__, None, error.code, error.message]
    report.facts[name] = seen
report.write()
