// Leaves in the middle of a streamed answer, as an app does whose user closed the page.
import { Report, client } from "./common.mjs";

const report = new Report();
const body = { model: "gpt-4o-mini", messages: [{ role: "user", content: "Why is the sky blue?" }], stream: true };
const headers = { "x-demo": "delay_ms=40" };
const stream = await report.note("cancelled", client().chat.completions.create(body, { headers }));
let text = "";
for await (const chunk of stream) {
  text += chunk.choices[0].delta.content ?? "";
  if (text.length > 20) {
    stream.controller.abort();
    break;
  }
}
report.facts.text = text;
report.write();
