// What the scripts share: the SDK from the test environment, a client for Weir, and the report that the Rust tests read.
import { createRequire } from "node:module";

// The SDK lies beside the tests' cache, not beside these files.
const require = createRequire(`${process.env.WEIR_SDK_HOME}/`);
export const { default: OpenAI } = require("openai");
export const { zodResponseFormat } = require("openai/helpers/zod");
export const { z } = require("zod");
export const CALL_ID = "x-weir-call-id";

export function client(options = {}) {
  return new OpenAI({
    baseURL: process.env.WEIR_BASE_URL,
    apiKey: "sk-of-the-app",
    maxRetries: 0,
    timeout: 20_000,
    ...options,
  });
}

export class Report {
  calls = {};
  facts = {};

  // Awaits an SDK promise, notes the call's id, and gives back the answer.
  async note(name, promise) {
    const { data, response } = await promise.withResponse();
    this.calls[name] = response.headers.get(CALL_ID);
    if (!this.calls[name] && !process.env.WEIR_ABSENT) throw new Error(`${name}: no ${CALL_ID}`);
    return data;
  }

  write() {
    process.stdout.write(JSON.stringify({ calls: this.calls, facts: this.facts }));
  }
}

export async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

export const textOf = (chunks) => chunks.map((c) => c.choices[0]?.delta.content ?? "").join("");
