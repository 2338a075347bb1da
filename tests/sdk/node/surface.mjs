// Everything an app does with the SDK, with nothing changed but the base URL.
import assert from "node:assert/strict";
import { Report, all, client, textOf, z, zodResponseFormat } from "./common.mjs";

const ai = client();
const report = new Report();
const SKY = [
  { role: "system", content: "You are brief." },
  { role: "user", content: "Why is the sky blue?" },
];
const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city",
    strict: true,
    parameters: {
      type: "object",
      properties: { city: { type: "string" }, unit: { type: "string", enum: ["celsius"] } },
      required: ["city", "unit"],
      additionalProperties: false,
    },
  },
};
const chat = (more = {}) => ({ model: "gpt-4o-mini", messages: SKY, ...more });
const create = (name, body, options) => report.note(name, ai.chat.completions.create(body, options));

const parts = {
  async plain() {
    const answer = await create("chat", chat({ user: "user-of-sdk", metadata: { ticket: "T-1" } }));
    assert.match(answer.choices[0].message.content, /blue/);
    assert.equal(answer.choices[0].finish_reason, "stop");
    report.facts.chat = {
      text: answer.choices[0].message.content,
      input: answer.usage.prompt_tokens,
      output: answer.usage.completion_tokens,
    };
  },

  async streamed() {
    const chunks = await all(await create("stream", chat({ stream: true })));
    assert.equal(textOf(chunks), report.facts.chat.text);
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
    // The app did not ask for usage: no chunk may show that somebody else did.
    assert(chunks.every((c) => c.choices.length > 0), "a chunk without choices came unasked");
    assert(chunks.every((c) => !c.usage), "usage came unasked");
  },

  async streamedWithUsage() {
    const body = chat({ stream: true, stream_options: { include_usage: true } });
    const chunks = await all(await create("stream_usage", body));
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.equal(chunks.at(-1).usage.prompt_tokens, report.facts.chat.input);
    assert.equal(chunks.at(-1).usage.completion_tokens, report.facts.chat.output);
    assert(chunks.slice(0, -1).every((c) => c.usage === null));
  },

  async tools() {
    const messages = [{ role: "user", content: "What is the weather in Lisbon and Porto today?" }];
    const ask = chat({ messages, tools: [WEATHER] });
    const whole = (await create("tools", ask)).choices[0];
    assert.equal(whole.finish_reason, "tool_calls");
    const calls = whole.message.tool_calls;
    assert.deepEqual(calls.map((c) => JSON.parse(c.function.arguments).city), ["Lisbon", "Porto"]);

    const built = [];
    for await (const chunk of await create("tools_stream", { ...ask, stream: true })) {
      for (const delta of chunk.choices[0].delta.tool_calls ?? []) {
        const call = (built[delta.index] ??= { id: "", type: "function", function: { name: "", arguments: "" } });
        call.id += delta.id ?? "";
        call.function.name += delta.function.name ?? "";
        call.function.arguments += delta.function.arguments ?? "";
      }
    }
    assert.deepEqual(built, calls);

    // The SDK's own accumulator.
    const final = await ai.chat.completions.stream(ask).finalChatCompletion();
    assert.deepEqual(
      final.choices[0].message.tool_calls.map((c) => c.function.arguments),
      calls.map((c) => c.function.arguments),
    );

    const answers = calls.map((c) => ({ role: "tool", tool_call_id: c.id, content: "18 degrees, clear" }));
    const answer = await create("tools_answer", { ...ask, messages: [...messages, whole.message, ...answers] });
    assert.match(answer.choices[0].message.content, /18 degrees/);
  },

  async schema() {
    const Plan = z.object({ title: z.string(), places: z.array(z.object({ name: z.string(), days: z.int() })) });
    const messages = [{ role: "user", content: "Plan a trip to Kyoto" }];
    const ask = chat({ messages, response_format: zodResponseFormat(Plan, "plan") });
    // The helper's promise has no raw form: the call is found by its session.
    const parsed = await ai.chat.completions.parse(ask, { headers: { "x-weir-session": "node-parse" } });
    const plan = Plan.parse(parsed.choices[0].message.parsed);
    assert.equal(plan.places.length, 2);
    const streamed = await ai.chat.completions.stream(ask).finalChatCompletion();
    assert.deepEqual(streamed.choices[0].message.parsed, plan);
    const object = await create("json_object", chat({ response_format: { type: "json_object" } }));
    assert.equal(JSON.parse(object.choices[0].message.content).topic, "science");
  },

  async several() {
    const whole = (await create("n", chat({ n: 3 }))).choices.map((c) => c.message.content);
    assert.equal(whole.length, 3);
    const texts = ["", "", ""];
    for (const chunk of await all(await create("n_stream", chat({ n: 3, stream: true })))) {
      for (const choice of chunk.choices) texts[choice.index] += choice.delta.content ?? "";
    }
    assert.deepEqual(texts, whole);
  },

  async logprobs() {
    const entries = (await create("logprobs", chat({ logprobs: true, top_logprobs: 2 }))).choices[0].logprobs.content;
    assert.equal(entries.map((e) => e.token).join(""), report.facts.chat.text);
    assert(entries.every((e) => e.top_logprobs.length === 2 && e.logprob <= 0));
  },

  async images() {
    const url = `data:image/png;base64,${Buffer.alloc(10_000, 7).toString("base64")}`;
    const content = [{ type: "text", text: "What is this?" }, { type: "image_url", image_url: { url } }];
    const answer = await create("image", chat({ messages: [{ role: "user", content }] }));
    assert.match(answer.choices[0].message.content, /1 image\(s\)/);
  },

  async refusalAndReasoning() {
    const { message } = (await create("refusal", chat(), { headers: { "x-demo": "refusal=1" } })).choices[0];
    assert(message.refusal && message.content === null);
    const chunks = await all(await create("reasoning", chat({ model: "demo-reasoner", stream: true })));
    const thought = chunks.map((c) => c.choices[0]?.delta.reasoning_content ?? "").join("");
    assert.match(thought, /^The user asks: Why is the sky blue\?/);
  },

  async completions() {
    const ask = { model: "gpt-3.5-turbo-instruct", prompt: "Why is the sky blue?" };
    const whole = (await report.note("completion", ai.completions.create(ask))).choices[0].text;
    assert.match(whole, /blue/);
    const chunks = await all(await report.note("completion_stream", ai.completions.create({ ...ask, stream: true })));
    assert(chunks.every((c) => c.choices.length > 0));
    assert.equal(chunks.map((c) => c.choices[0].text).join(""), whole);
  },

  async embeddings() {
    const ask = { model: "text-embedding-3-small", input: ["a blue sky", "a red sun"], dimensions: 64 };
    // base64 on the wire, by the SDK's default.
    const decoded = (await report.note("embeddings", ai.embeddings.create(ask))).data;
    const floats = (await report.note("embeddings_float", ai.embeddings.create({ ...ask, encoding_format: "float" }))).data;
    const single = (list) => list.map((d) => Array.from(Float32Array.from(d.embedding)));
    assert.deepEqual(single(decoded), single(floats));
  },

  async others() {
    const list = await report.note("models", ai.models.list());
    assert(list.data.some((m) => m.id === "gpt-4o-mini"));
    assert.equal((await report.note("model", ai.models.retrieve("gpt-4o-mini"))).id, "gpt-4o-mini");
    const verdict = await report.note("moderations", ai.moderations.create({ input: "a story of violence" }));
    assert.equal(verdict.results[0].flagged, true);
    const speech = await report.note("speech", ai.audio.speech.create({ model: "tts-1", voice: "alloy", input: "Hello" }));
    const audio = Buffer.from(await speech.arrayBuffer());
    assert.equal(audio.length, 24_000);
    assert.equal(audio.subarray(0, 3).toString(), "ID3");
  },
};

for (const [name, part] of Object.entries(parts)) {
  try {
    await part();
  } catch (error) {
    throw new Error(`${name}: ${error.stack}`);
  }
}
report.write();
