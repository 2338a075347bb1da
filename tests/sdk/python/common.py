"""What the scripts share: a client for Weir, and the report that the Rust tests read."""

import json
import os
import sys

import openai

BASE_URL = os.environ["WEIR_BASE_URL"]
CALL_ID = "x-weir-call-id"


def client(**options):
    options.setdefault("max_retries", 0)
    options.setdefault("timeout", 20)
    return openai.OpenAI(base_url=BASE_URL, api_key="sk-of-the-app", **options)


class Report:
    """Call ids and facts by name, printed as one JSON object at the end."""

    def __init__(self):
        self.calls = {}
        self.facts = {}

    def note(self, name, raw):
        call_id = raw.headers.get(CALL_ID)
        assert call_id or os.environ.get("WEIR_ABSENT"), f"{name}: no {CALL_ID} in {dict(raw.headers)}"
        self.calls[name] = call_id

    def write(self):
        json.dump({"calls": self.calls, "facts": self.facts}, sys.stdout)


def text_of(chunks):
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
