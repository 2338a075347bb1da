"""Each failure reaches the app as the SDK's own exception, with a stable code."""

import json
import os

import openai

from common import CALL_ID, Report, client

report = Report()
# [name, expected exception, status, code, model, x-demo]
cases = json.loads(os.environ["WEIR_CASES"])
for name, expected, status, code, model, demo in cases:
    ai = client()
    try:
        ai.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "Why is the sky blue?"}],
            extra_headers={"x-demo": demo} if demo else {},
        )
    except openai.APIStatusError as error:
        assert type(error).__name__ == expected, f"{name}: {type(error).__name__}, not {expected}: {error}"
        assert error.status_code == status, f"{name}: {error.status_code}"
        assert error.code == code, f"{name}: code {error.code!r}, not {code!r}: {error}"
        assert error.body["message"] and error.body["type"], f"{name}: {error.body}"
        report.calls[name] = error.response.headers.get(CALL_ID)
        report.facts[name] = error.body["message"]
    else:
        raise AssertionError(f"{name}: no exception")
report.write()
