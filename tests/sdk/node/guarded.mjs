// What an app sees of guardrails: blocked input, blocked and redacted answers, whole and streamed.
import { CALL_ID, OpenAI, Report, all, client, textOf } from "./common.mjs";

const ai = client();
const report = new Report();
// [name, prompt, what the model says, chunk size (0: not streamed)]
for (const [name, prompt, say, chunk] of JSON.parse(process.env.WEIR_CASES)) {
  const headers = { "x-demo": `delay_ms=0,say=${say}` + (chunk ? `,chunk=${chunk}` : "") };
  const body = { model: "gpt-4o-mini", messages: [{ role: "user", content: prompt }], stream: chunk > 0 };
  const seen = { error: null, text: null, finish: null };
  try {
    const answer = await report.note(name, ai.chat.completions.create(body, { headers }));
    if (chunk) {
      const chunks = await all(answer);
      seen.text = textOf(chunks);
      seen.finish = chunks.flatMap((c) => c.choices).map((c) => c.finish_reason).filter(Boolean);
    } else {
      seen.text = answer.choices[0].message.content;
      seen.finish = [answer.choices[0].finish_reason];
    }
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    report.calls[name] ??= error.headers?.get(CALL_ID);
    seen.error = [error.constructor.name, error.status ?? null, error.code, error.error?.message ?? error.message];
  }
  report.facts[name] = seen;
}
report.write();
