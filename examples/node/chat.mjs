// An app of the OpenAI SDK behind Weir. Only `baseURL` is new; the headers are optional.
//
//   npm install openai
//   weir up                      # in another terminal, with OPENAI_API_KEY set
//   node examples/node/chat.mjs
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: process.env.OPENAI_BASE_URL ?? "http://127.0.0.1:8080/v1",
  // Weir adds the provider's key if it has one; this one is for providers without.
  apiKey: process.env.OPENAI_API_KEY ?? "unused",
  // Columns of the history: who called, for whom, in which conversation.
  defaultHeaders: { "x-weir-app": "example-node", "x-weir-session": "walkthrough", "x-weir-tags": "example,docs" },
});
const model = process.env.MODEL ?? "gpt-4o-mini";

console.log("— whole —");
const { data, response } = await client.chat.completions
  .create({ model, user: "ana", messages: [{ role: "user", content: "Why is the sky blue? One sentence." }] })
  .withResponse();
console.log(data.choices[0].message.content);
console.log("call", response.headers.get("x-weir-call-id"));

console.log("— streamed —");
const stream = await client.chat.completions.create({
  model,
  stream: true,
  messages: [{ role: "user", content: "Suggest a trip of three days. Two sentences." }],
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? "");
console.log();
