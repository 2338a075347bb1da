// Each failure reaches the app as the SDK's own exception, with a stable code.
import assert from "node:assert/strict";
import { CALL_ID, OpenAI, Report, client } from "./common.mjs";

const report = new Report();
// [name, expected exception, status, code, model, x-demo]
for (const [name, expected, status, code, model, demo] of JSON.parse(process.env.WEIR_CASES)) {
  const body = { model, messages: [{ role: "user", content: "Why is the sky blue?" }] };
  let error;
  try {
    await client().chat.completions.create(body, demo ? { headers: { "x-demo": demo } } : {});
  } catch (caught) {
    error = caught;
  }
  assert(error instanceof OpenAI.APIError, `${name}: no API error but ${error}`);
  // Python and Node name the same classes; Node has the status only on what came over the wire.
  assert.equal(error.constructor.name, expected.replace("APIStatusError", "APIError"), `${name}: ${error}`);
  assert.equal(error.status, status, name);
  assert.equal(error.code, code, `${name}: ${error}`);
  assert(error.type && error.error.message, `${name}: ${JSON.stringify(error.error)}`);
  report.calls[name] = error.headers.get(CALL_ID);
  report.facts[name] = error.error.message;
}
report.write();
