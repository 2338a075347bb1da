//! The endpoints beside chat: completions, embeddings, models, moderations, speech.

use base64::Engine;
use bytes::Bytes;
use serde_json::{Value, json};

use super::chat::CREATED;
use super::directives::{Directives, base_model};
use super::pace::Pace;
use super::plan::{End, Plan};
use super::prompt::Prompt;
use super::reply::Reply;
use super::seed::Seed;
use super::sse::Sse;
use super::words;

/// Models that `/v1/models` lists.
const MODELS: &[&str] = &[
    "gpt-4o-mini",
    "gpt-4o",
    "gpt-4.1",
    "gpt-4.1-mini",
    "o4-mini",
    "text-embedding-3-small",
    "text-embedding-3-large",
    "gpt-3.5-turbo-instruct",
    "tts-1",
    "omni-moderation-latest",
    "demo-reasoner",
];

/// `/v1/completions`, whole or streamed.
pub fn completion(prompt: &Prompt, directives: &Directives, pace: &mut Pace) -> Plan {
    let replies: Vec<Reply> = (0..prompt.choices)
        .map(|index| Reply::to(prompt, directives, index))
        .collect();
    let id = format!("cmpl-{}", Seed::of(prompt.user.as_bytes()).word(29));
    let envelope = |choices: Vec<Value>| {
        json!({"id": id, "object": "text_completion", "created": CREATED, "model": base_model(&prompt.model),
            "choices": choices})
    };
    let output: u64 = replies.iter().map(|reply| reply.tokens().0).sum();
    let usage = json!({"prompt_tokens": prompt.tokens, "completion_tokens": output,
        "total_tokens": prompt.tokens + output});
    if !prompt.stream {
        let choices = replies.iter().enumerate().map(|(index, reply)| {
            json!({"index": index, "text": reply.text, "logprobs": null, "finish_reason": reply.finish})
        });
        let mut whole = envelope(choices.collect());
        if !directives.on("omit_usage") {
            whole["usage"] = usage;
        }
        return super::chat::whole(whole.to_string(), pace, output);
    }
    let mut sse = Sse::new(directives);
    for (index, reply) in replies.iter().enumerate() {
        let text = reply.text.as_deref().unwrap_or_default();
        let pieces = match directives.count("chunk") {
            Some(size) => words::pieces(text, size),
            None => words::tokens(text),
        };
        for piece in pieces {
            let choice = json!({"index": index, "text": piece, "logprobs": null, "finish_reason": null});
            sse.data(pace.token(), &envelope(vec![choice]).to_string());
        }
        let last = json!({"index": index, "text": "", "logprobs": null, "finish_reason": reply.finish});
        sse.data(pace.token(), &envelope(vec![last]).to_string());
    }
    if prompt.include_usage && !directives.on("omit_usage") {
        let mut last = envelope(Vec::new());
        last["usage"] = usage;
        sse.data(pace.token(), &last.to_string());
    }
    if !directives.on("no_done") {
        sse.data(pace.token(), "[DONE]");
    }
    Plan {
        frames: sse.into_frames(),
        end: End::Finish,
    }
}

/// `/v1/embeddings`: texts that share words lie near each other.
pub fn embeddings(body: &Value, directives: &Directives, pace: &mut Pace) -> Result<Plan, String> {
    let model = body
        .get("model")
        .and_then(Value::as_str)
        .ok_or("you must provide a model parameter")?;
    let inputs = inputs(body.get("input").ok_or("Missing required parameter: 'input'.")?);
    let usual = if model.contains("large") { 3072 } else { 1536 };
    let asked = body
        .get("dimensions")
        .and_then(Value::as_u64)
        .and_then(|n| usize::try_from(n).ok());
    let dimensions = asked.unwrap_or(usual).clamp(1, 4096);
    let base64 = body.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let data = inputs.iter().enumerate().map(|(index, text)| {
        let vector = vector(text, dimensions);
        let embedding = if base64 {
            let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
            json!(base64::engine::general_purpose::STANDARD.encode(bytes))
        } else {
            json!(vector)
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    let mut answer = json!({"object": "list", "data": data.collect::<Vec<_>>(), "model": base_model(model)});
    if !directives.on("omit_usage") {
        let tokens: u64 = inputs.iter().map(|text| words::count(text)).sum();
        answer["usage"] = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    }
    Ok(super::chat::whole(answer.to_string(), pace, 4))
}

/// A string, strings, tokens, or lists of tokens.
fn inputs(input: &Value) -> Vec<String> {
    match input {
        Value::Array(items) if items.iter().all(|item| item.is_string() || item.is_array()) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect(),
        Value::String(text) => vec![text.clone()],
        tokens => vec![tokens.to_string()],
    }
}

#[expect(clippy::cast_possible_truncation, reason = "an embedding is single precision")]
fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f64; dimensions];
    for word in text.to_lowercase().split_whitespace() {
        let mut seed = Seed::of(word.as_bytes());
        for x in &mut sum {
            *x += seed.unit() - 0.5;
        }
    }
    let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
    sum.into_iter()
        .map(|x| if length > 0.0 { (x / length) as f32 } else { 0.0 })
        .collect()
}

/// `/v1/models`, or one of them; `None` if there is no such model.
pub fn models(name: Option<&str>) -> Option<Value> {
    let model = |name: &str| json!({"id": name, "object": "model", "created": CREATED, "owned_by": "demo"});
    match name {
        None => Some(json!({"object": "list", "data": MODELS.iter().map(|name| model(name)).collect::<Vec<_>>()})),
        Some(name) => MODELS.contains(&name).then(|| model(name)),
    }
}

/// `/v1/moderations`: whatever speaks of violence is flagged.
pub fn moderations(body: &Value) -> Value {
    let inputs = inputs(body.get("input").unwrap_or(&Value::Null));
    let results = inputs.iter().map(|text| {
        let violence = text.to_lowercase().contains("violence");
        json!({"flagged": violence, "categories": {"violence": violence, "hate": false, "self-harm": false},
            "category_scores": {"violence": if violence { 0.97 } else { 0.01 }, "hate": 0.01, "self-harm": 0.01}})
    });
    json!({"id": format!("modr-{}", Seed::of(body.to_string().as_bytes()).word(20)),
        "model": "omni-moderation-latest", "results": results.collect::<Vec<_>>()})
}

/// `/v1/audio/speech`: bytes that are no text, the same for the same input.
pub fn speech(body: &[u8], directives: &Directives) -> Plan {
    let size = directives.count("bytes").unwrap_or(24_000);
    let mut seed = Seed::of(body);
    let mut audio = b"ID3\x04\x00\x00\x00\x00\x00\x00".to_vec();
    while audio.len() < size {
        audio.extend_from_slice(&seed.next().to_le_bytes());
    }
    audio.truncate(size);
    let frames = audio
        .chunks(4096)
        .map(|piece| (std::time::Duration::ZERO, Bytes::copy_from_slice(piece)));
    Plan {
        frames: frames.collect(),
        end: End::Finish,
    }
}
