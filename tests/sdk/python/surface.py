"""Everything an app does with the SDK, with nothing changed but the base URL."""

import base64
import json
import struct

from pydantic import BaseModel

from common import Report, client, text_of

ai = client()
report = Report()
SKY = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "Why is the sky blue?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


def chat(**more):
    return {"model": "gpt-4o-mini", "messages": SKY, **more}


def plain():
    raw = ai.chat.completions.with_raw_response.create(**chat(user="user-of-sdk", metadata={"ticket": "T-1"}))
    report.note("chat", raw)
    answer = raw.parse()
    assert "blue" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0
    report.facts["chat"] = {
        "text": answer.choices[0].message.content,
        "input": answer.usage.prompt_tokens,
        "output": answer.usage.completion_tokens,
    }


def streamed():
    raw = ai.chat.completions.with_raw_response.create(**chat(stream=True))
    report.note("stream", raw)
    chunks = list(raw.parse())
    assert text_of(chunks) == report.facts["chat"]["text"]
    assert chunks[-1].choices[0].finish_reason == "stop"
    # The app did not ask for usage: no chunk may show that somebody else did.
    assert all(chunk.choices for chunk in chunks), "a chunk without choices came unasked"
    assert all(chunk.usage is None for chunk in chunks), "usage came unasked"
    report.facts["stream_chunks"] = len(chunks)


def streamed_with_usage():
    raw = ai.chat.completions.with_raw_response.create(**chat(stream=True, stream_options={"include_usage": True}))
    report.note("stream_usage", raw)
    chunks = list(raw.parse())
    assert chunks[-1].choices == []
    assert chunks[-1].usage.prompt_tokens == report.facts["chat"]["input"]
    assert chunks[-1].usage.completion_tokens == report.facts["chat"]["output"]
    assert all("usage" in c.to_dict() and c.usage is None for c in chunks[:-1])


def tools():
    ask = chat(
        messages=[{"role": "user", "content": "What is the weather in Lisbon and Porto today?"}], tools=[WEATHER]
    )
    raw = ai.chat.completions.with_raw_response.create(**ask)
    report.note("tools", raw)
    whole = raw.parse().choices[0]
    assert whole.finish_reason == "tool_calls"
    calls = [(c.id, c.function.name, json.loads(c.function.arguments)) for c in whole.message.tool_calls]
    assert [c[2]["city"] for c in calls] == ["Lisbon", "Porto"], calls

    raw = ai.chat.completions.with_raw_response.create(**ask, stream=True)
    report.note("tools_stream", raw)
    built = {}
    for chunk in raw.parse():
        for delta in chunk.choices[0].delta.tool_calls or []:
            call = built.setdefault(delta.index, ["", "", ""])
            call[0] += delta.id or ""
            call[1] += delta.function.name or ""
            call[2] += delta.function.arguments or ""
    assert [(i, n, json.loads(a)) for i, n, a in built.values()] == calls

    # The SDK's own accumulator.
    with ai.chat.completions.stream(**ask) as stream:
        final = stream.get_final_completion()
    assert [c.function.arguments for c in final.choices[0].message.tool_calls] == [
        c.function.arguments for c in whole.message.tool_calls
    ]

    answers = [{"role": "tool", "tool_call_id": c[0], "content": "18 degrees, clear"} for c in calls]
    ask["messages"] = [*ask["messages"], whole.message.to_dict(), *answers]
    raw = ai.chat.completions.with_raw_response.create(**ask)
    report.note("tools_answer", raw)
    assert "18 degrees" in raw.parse().choices[0].message.content


class Place(BaseModel):
    name: str
    days: int


class Plan(BaseModel):
    title: str
    places: list[Place]


def schema():
    ask = chat(messages=[{"role": "user", "content": "Plan a trip to Kyoto"}], response_format=Plan)
    raw = ai.chat.completions.with_raw_response.parse(**ask)
    report.note("schema", raw)
    plan = raw.parse().choices[0].message.parsed
    assert isinstance(plan, Plan) and len(plan.places) == 2
    with ai.chat.completions.stream(**ask) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == plan
    raw = ai.chat.completions.with_raw_response.create(**chat(response_format={"type": "json_object"}))
    report.note("json_object", raw)
    assert json.loads(raw.parse().choices[0].message.content)["topic"] == "science"


def several():
    raw = ai.chat.completions.with_raw_response.create(**chat(n=3))
    report.note("n", raw)
    whole = [c.message.content for c in raw.parse().choices]
    assert len(whole) == 3
    raw = ai.chat.completions.with_raw_response.create(**chat(n=3, stream=True))
    report.note("n_stream", raw)
    texts = ["", "", ""]
    for chunk in raw.parse():
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == whole


def logprobs():
    raw = ai.chat.completions.with_raw_response.create(**chat(logprobs=True, top_logprobs=2))
    report.note("logprobs", raw)
    entries = raw.parse().choices[0].logprobs.content
    assert "".join(e.token for e in entries) == report.facts["chat"]["text"]
    assert all(len(e.top_logprobs) == 2 and e.logprob <= 0 for e in entries)
    # Text that a guardrail held back leaves later, and its log probabilities with it.
    raw = ai.chat.completions.with_raw_response.create(**chat(logprobs=True, top_logprobs=2, stream=True))
    report.note("logprobs_stream", raw)
    chunks = list(raw.parse())
    assert text_of(chunks) == report.facts["chat"]["text"]
    shown = [e.token for c in chunks if c.choices[0].logprobs for e in c.choices[0].logprobs.content]
    assert "".join(shown) == report.facts["chat"]["text"]


def images():
    pixel = base64.b64encode(bytes(range(256)) * 40).decode()
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{pixel}"}},
    ]
    raw = ai.chat.completions.with_raw_response.create(**chat(messages=[{"role": "user", "content": parts}]))
    report.note("image", raw)
    assert "1 image(s)" in raw.parse().choices[0].message.content


def refusal_and_reasoning():
    raw = ai.chat.completions.with_raw_response.create(**chat(), extra_headers={"x-demo": "refusal=1"})
    report.note("refusal", raw)
    message = raw.parse().choices[0].message
    assert message.refusal and message.content is None
    raw = ai.chat.completions.with_raw_response.create(**chat(model="demo-reasoner", stream=True))
    report.note("reasoning", raw)
    thought = "".join(c.choices[0].delta.to_dict().get("reasoning_content") or "" for c in raw.parse())
    assert thought.startswith("The user asks: Why is the sky blue?"), thought


def completions():
    ask = {"model": "gpt-3.5-turbo-instruct", "prompt": "Why is the sky blue?"}
    raw = ai.completions.with_raw_response.create(**ask)
    report.note("completion", raw)
    whole = raw.parse().choices[0].text
    assert "blue" in whole
    raw = ai.completions.with_raw_response.create(**ask, stream=True)
    report.note("completion_stream", raw)
    chunks = list(raw.parse())
    assert all(c.choices for c in chunks)
    assert "".join(c.choices[0].text for c in chunks) == whole


def embeddings():
    ask = {"model": "text-embedding-3-small", "input": ["a blue sky", "a red sun"], "dimensions": 64}
    raw = ai.embeddings.with_raw_response.create(**ask)  # base64 on the wire, by the SDK's default
    report.note("embeddings", raw)
    decoded = [d.embedding for d in raw.parse().data]
    raw = ai.embeddings.with_raw_response.create(**ask, encoding_format="float")
    report.note("embeddings_float", raw)
    floats = [d.embedding for d in raw.parse().data]
    pack = struct.Struct("<64f").pack
    assert [pack(*v) for v in decoded] == [pack(*v) for v in floats]
    assert raw.parse().usage.prompt_tokens == 6


def others():
    raw = ai.models.with_raw_response.list()
    report.note("models", raw)
    assert "gpt-4o-mini" in [m.id for m in raw.parse().data]
    raw = ai.models.with_raw_response.retrieve("gpt-4o-mini")
    report.note("model", raw)
    assert raw.parse().id == "gpt-4o-mini"
    raw = ai.moderations.with_raw_response.create(input="a story of violence")
    report.note("moderations", raw)
    assert raw.parse().results[0].flagged
    raw = ai.audio.speech.with_raw_response.create(model="tts-1", voice="alloy", input="Hello")
    report.note("speech", raw)
    audio = raw.parse().read()
    assert len(audio) == 24_000 and audio.startswith(b"ID3")


for part in [
    plain, streamed, streamed_with_usage, tools, schema, several, logprobs, images, refusal_and_reasoning,
    completions, embeddings, others,
]:
    try:
        part()
    except Exception as error:
        raise AssertionError(f"{part.__name__}: {error!r}") from error
report.write()
