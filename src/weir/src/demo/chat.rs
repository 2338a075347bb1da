//! `/v1/chat/completions` as OpenAI writes it, whole and streamed.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::directives::{Directives, base_model};
use super::pace::Pace;
use super::plan::{End, Plan};
use super::prompt::Prompt;
use super::reply::Reply;
use super::seed::Seed;
use super::sse::Sse;
use super::words;

/// When every answer was made: answers depend on the request alone.
pub const CREATED: u64 = 1_760_000_000;

#[derive(Serialize)]
struct Envelope<'a, C> {
    id: String,
    object: &'a str,
    created: u64,
    model: &'a str,
    choices: Vec<C>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
    service_tier: &'a str,
    system_fingerprint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    x_demo: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: usize,
    message: Value,
    logprobs: Value,
    finish_reason: &'a str,
}

#[derive(Serialize)]
struct Delta {
    index: usize,
    delta: Value,
    logprobs: Value,
    finish_reason: Option<&'static str>,
}

/// The answer to a chat request.
pub struct Chat<'a> {
    prompt: &'a Prompt,
    directives: &'a Directives,
    replies: Vec<Reply>,
}

impl<'a> Chat<'a> {
    pub fn new(prompt: &'a Prompt, directives: &'a Directives) -> Self {
        let replies = (0..prompt.choices)
            .map(|index| Reply::to(prompt, directives, index))
            .collect();
        Self {
            prompt,
            directives,
            replies,
        }
    }

    /// The whole answer.
    pub fn whole(&self) -> Result<String, serde_json::Error> {
        let choices = self.replies.iter().enumerate().map(|(index, reply)| Choice {
            index,
            message: message(reply),
            logprobs: self.logprobs(reply.text.as_deref()),
            finish_reason: reply.finish,
        });
        let usage = (!self.directives.on("omit_usage")).then(|| self.usage());
        serde_json::to_string_pretty(&self.envelope("chat.completion", choices.collect(), usage)?)
    }

    /// The answer as a stream.
    pub fn stream(&self, pace: &mut Pace) -> Result<Plan, serde_json::Error> {
        let mut sse = Sse::new(self.directives);
        let mut choices: Vec<std::vec::IntoIter<Delta>> = self
            .replies
            .iter()
            .enumerate()
            .map(|(i, reply)| self.deltas(i, reply).into_iter())
            .collect();
        let fail_after = self.directives.count("status").and(self.directives.count("after"));
        let mut sent = 0;
        loop {
            let round: Vec<Delta> = choices.iter_mut().filter_map(Iterator::next).collect();
            if round.is_empty() {
                break;
            }
            for delta in round {
                if fail_after == Some(sent) {
                    let error = json!({"error": {"message": "The server had an error while processing your request.",
                        "type": "server_error", "param": null, "code": "server_error"}});
                    sse.data(pace.token(), &error.to_string());
                    return Ok(Plan {
                        frames: sse.into_frames(),
                        end: End::Finish,
                    });
                }
                let usage = self.prompt.include_usage.then_some(Value::Null);
                let chunk = self.envelope("chat.completion.chunk", vec![delta], usage)?;
                sse.data(
                    if sent == 0 { Duration::ZERO } else { pace.token() },
                    &serde_json::to_string(&chunk)?,
                );
                sent += 1;
            }
        }
        if self.prompt.include_usage && !self.directives.on("omit_usage") {
            let last = self.envelope::<Delta>("chat.completion.chunk", Vec::new(), Some(self.usage()))?;
            sse.data(Duration::ZERO, &serde_json::to_string(&last)?);
        }
        if !self.directives.on("no_done") {
            sse.data(Duration::ZERO, "[DONE]");
        }
        Ok(Plan {
            frames: sse.into_frames(),
            end: End::Finish,
        })
    }

    fn envelope<C>(
        &self,
        object: &'a str,
        choices: Vec<C>,
        usage: Option<Value>,
    ) -> Result<Envelope<'a, C>, serde_json::Error> {
        let mut seed = Seed::of(self.prompt.user.as_bytes());
        let extra = self
            .directives
            .on("extra")
            .then(|| RawValue::from_string(EXTRA.to_owned()))
            .transpose()?;
        Ok(Envelope {
            id: format!("chatcmpl-{}", seed.word(29)),
            object,
            created: CREATED,
            model: base_model(&self.prompt.model),
            choices,
            usage,
            service_tier: "default",
            system_fingerprint: "fp_demo000001",
            x_demo: extra,
        })
    }

    fn usage(&self) -> Value {
        let (mut output, mut reasoning) = (0, 0);
        for reply in &self.replies {
            let (all, thought) = reply.tokens();
            output += all;
            reasoning += thought;
        }
        // The o-series thinks without showing it.
        if base_model(&self.prompt.model).starts_with('o') {
            reasoning += 64;
            output += 64;
        }
        json!({
            "prompt_tokens": self.prompt.tokens,
            "completion_tokens": output,
            "total_tokens": self.prompt.tokens + output,
            "prompt_tokens_details": {"cached_tokens": self.prompt.cached_tokens, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
        })
    }

    fn logprobs(&self, text: Option<&str>) -> Value {
        let (Some(top), Some(text)) = (self.prompt.logprobs, text) else {
            return Value::Null;
        };
        let entries: Vec<Value> = self.cut(text).into_iter().map(|token| logprob(token, top)).collect();
        json!({"content": entries, "refusal": null})
    }

    fn cut<'t>(&self, text: &'t str) -> Vec<&'t str> {
        match self.directives.count("chunk") {
            Some(size) => words::pieces(text, size),
            None => words::tokens(text),
        }
    }

    fn deltas(&self, index: usize, reply: &Reply) -> Vec<Delta> {
        let delta = |delta: Value| Delta {
            index,
            delta,
            logprobs: Value::Null,
            finish_reason: None,
        };
        let content = if reply.text.is_some() { json!("") } else { Value::Null };
        let mut deltas = vec![delta(json!({"role": "assistant", "content": content, "refusal": null}))];
        for piece in reply.reasoning.iter().flat_map(|text| self.cut(text)) {
            deltas.push(delta(json!({"reasoning_content": piece})));
        }
        for piece in reply.text.iter().flat_map(|text| self.cut(text)) {
            deltas.push(Delta {
                logprobs: self.logprobs(Some(piece)),
                ..delta(json!({"content": piece}))
            });
        }
        for piece in reply.refusal.iter().flat_map(|text| self.cut(text)) {
            deltas.push(delta(json!({"refusal": piece})));
        }
        for (at, call) in reply.tool_calls.iter().enumerate() {
            let first = json!({"index": at, "id": call.id, "type": "function",
                "function": {"name": call.name, "arguments": ""}});
            deltas.push(delta(json!({"tool_calls": [first]})));
            for piece in self.cut(&call.arguments) {
                deltas.push(delta(
                    json!({"tool_calls": [{"index": at, "function": {"arguments": piece}}]}),
                ));
            }
        }
        deltas.push(Delta {
            finish_reason: Some(reply.finish),
            ..delta(json!({}))
        });
        deltas
    }
}

/// Fields that no version of OpenAI's API has, written as few serialisers would.
const EXTRA: &str =
    r#"{ "big":123456789012345678901234567890, "float" : 1.50E+2,"esc":"\u0041\/\u00e9", "twice":1,"twice":2 }"#;

fn message(reply: &Reply) -> Value {
    let mut message = json!({"role": "assistant", "content": reply.text, "refusal": reply.refusal, "annotations": []});
    if let Some(reasoning) = &reply.reasoning {
        message["reasoning_content"] = json!(reasoning);
    }
    if !reply.tool_calls.is_empty() {
        let calls = reply.tool_calls.iter().map(|call| {
            json!({"id": call.id, "type": "function",
                "function": {"name": call.name, "arguments": call.arguments}})
        });
        message["tool_calls"] = calls.collect();
    }
    message
}

/// One token's log probabilities, made up from the token.
pub fn logprob(token: &str, top: usize) -> Value {
    let mut seed = Seed::of(token.as_bytes());
    let value = -seed.unit();
    let entry = |token: &str, value: f64| json!({"token": token, "logprob": value, "bytes": token.as_bytes()});
    let mut first = entry(token, value);
    let others = (1..top).map(|rank| entry(&seed.word(4), value - f64::from(u32::try_from(rank).unwrap_or(1))));
    let list: Vec<Value> = std::iter::once(entry(token, value)).chain(others).take(top).collect();
    first["top_logprobs"] = Value::Array(list);
    first
}

/// A plan for a whole JSON answer.
pub fn whole(text: String, pace: &mut Pace, tokens: u64) -> Plan {
    Plan {
        frames: vec![(pace.tokens(tokens), Bytes::from(text))],
        end: End::Finish,
    }
}
