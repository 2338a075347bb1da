"""Leaves in the middle of a streamed answer, as an app does whose user closed the page."""

from common import Report, client

report = Report()
raw = client().chat.completions.with_raw_response.create(
    model="gpt-4o-mini",
    messages=[{"role": "user", "content": "Why is the sky blue?"}],
    stream=True,
    extra_headers={"x-demo": "delay_ms=40"},
)
report.note("cancelled", raw)
stream = raw.parse()
text = ""
for chunk in stream:
    text += chunk.choices[0].delta.content or ""
    if len(text) > 20:
        stream.close()
        break
report.facts["text"] = text
report.write()
