"""Calls for so many seconds, whatever happens to the sidecar meanwhile: which calls began, and what those
said that came to their end."""

import json
import os
import time

import openai

from common import CALL_ID, Report, client, text_of

case = json.loads(os.environ["WEIR_CASES"])
until = time.monotonic() + case["seconds"]
report = Report()
app = client()
count = 0
while time.monotonic() < until:
    count += 1
    stream = count % 2 == 0
    said = f"the SDK's call {count}"
    demo = "delay_ms=1" if stream else f"say={said.replace(' ', '%20')}"
    raw = None
    try:
        raw = app.chat.completions.with_raw_response.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "Why is the sky blue?"}],
            stream=stream,
            extra_headers={"x-demo": demo, "x-weir-app": case["app"]},
        )
        report.note(str(count), raw)
        answer = raw.parse()
        text = text_of(answer) if stream else answer.choices[0].message.content
        assert stream or text == said, text
        report.facts[raw.headers[CALL_ID]] = text
    except openai.APIStatusError as error:
        # A full journal refuses; anything else here is a fault.
        assert error.status_code == 503, error
    except Exception as error:
        # The sidecar is away, or went away in the midst: in streams the transport's own errors tell.
        transport = type(error).__module__.split(".")[0].startswith(("httpx", "httpcore"))
        if not transport and not isinstance(error, openai.APIError):
            raise
        time.sleep(0.05)
    time.sleep(0.02)
report.write()
