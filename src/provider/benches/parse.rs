//! The parsers of the hot path beside `serde_json::Value` on the same bytes, in one run:
//! `cargo bench -p weir-provider`.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use provider::openai::stream::Assembler;
use provider::openai::{Endpoint, request, response, stream};
use provider::prices::Prices;
use provider::sse::Decoder;
use provider::{json, tokens};
use serde_json::{Value, json};

/// The median of nine rounds, in nanoseconds for one run of `work`.
fn measure(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut runs = 0u32;
    while start.elapsed() < Duration::from_millis(50) {
        work();
        runs += 1;
    }
    let mut rounds: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            (0..runs).for_each(|_| work());
            start.elapsed().as_nanos() as f64 / f64::from(runs)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[4]
}

fn row(name: &str, bytes: usize, ours: f64, value: Option<f64>) {
    let rate = bytes as f64 / ours * 1000.0;
    let ratio = value.map_or(String::new(), |value| format!("{value:>12.0} {:>7.2}", ours / value));
    println!("{name:<34} {bytes:>9} {ours:>11.0} {rate:>9.0} {ratio}");
}

fn compare(name: &str, raw: &str, mut ours: impl FnMut(&str)) {
    let value = measure(|| drop(black_box(serde_json::from_str::<Value>(black_box(raw)).unwrap())));
    row(name, raw.len(), measure(|| ours(black_box(raw))), Some(value));
}

fn chat(words: usize, escapes: bool) -> String {
    let text = if escapes {
        "He said \"no\".\nÜber 12 things. "
    } else {
        "The quick brown fox jumps over the dog. "
    };
    let messages: Vec<Value> = (0..6)
        .map(|index| json!({"role": if index % 2 == 0 { "user" } else { "assistant" }, "content": text.repeat(words)}))
        .collect();
    json!({"model": "gpt-4o", "stream": true, "temperature": 0.2, "messages": messages, "tools": [{"type": "function",
        "function": {"name": "get", "description": "Gets a thing.", "parameters": {"type": "object",
        "properties": {"id": {"type": "string"}}, "required": ["id"]}}}]})
    .to_string()
}

fn main() {
    println!(
        "{:<34} {:>9} {:>11} {:>9} {:>12} {:>7}",
        "", "bytes", "ns", "MB/s", "Value ns", "ratio"
    );
    for (name, raw) in [
        ("request, 2 KiB", chat(7, false)),
        ("request, 2 KiB, escapes", chat(9, true)),
        ("request, 64 KiB", chat(272, false)),
    ] {
        compare(name, &raw, |raw| {
            drop(black_box(request::parse(Endpoint::ChatCompletions, raw).unwrap()))
        });
    }
    let image = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]}}]}}"#,
        "QUJD".repeat(262_144)
    );
    compare("request, 1 MiB image", &image, |raw| {
        drop(black_box(request::parse(Endpoint::ChatCompletions, raw).unwrap()));
    });

    let answer = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Some words of an answer. ".repeat(60),
        "refusal": null}, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 300, "total_tokens": 309,
        "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}}})
    .to_string();
    compare("answer, 2 KiB", &answer, |raw| {
        drop(black_box(response::parse(Endpoint::ChatCompletions, raw).unwrap()));
    });
    let numbers = vec!["-0.0123456"; 1536].join(",");
    let embedding = format!(r#"{{"data":[{{"embedding":[{numbers}]}}],"usage":{{"prompt_tokens":8}}}}"#);
    compare("answer, embedding of 1536", &embedding, |raw| {
        drop(black_box(response::parse(Endpoint::Embeddings, raw).unwrap()));
    });

    let chunk = r#"{"id":"chatcmpl-7f1","object":"chat.completion.chunk","created":1790000000,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null}"#;
    compare("chunk", chunk, |raw| drop(black_box(stream::parse(raw).unwrap())));
    let mut assembler = Assembler::with_limit(usize::MAX);
    let assembling = measure(|| assembler.push(chunk, &stream::parse(black_box(chunk)).unwrap()));
    row("chunk, parsed and assembled", chunk.len(), assembling, None);

    let frame = format!("data: {chunk}\n\n");
    let one = Bytes::from(frame.clone());
    let many = Bytes::from(frame.repeat(50));
    let mut frames = Vec::new();
    let mut decoder = Decoder::new();
    let decode = measure(|| {
        frames.clear();
        decoder.push(black_box(&one), &mut frames).unwrap();
    });
    row("SSE, a frame in a chunk", one.len(), decode, None);
    let mut decoder = Decoder::new();
    let decode = measure(|| {
        frames.clear();
        decoder.push(black_box(&many), &mut frames).unwrap();
    });
    row("SSE, 50 frames in a chunk", many.len(), decode, None);

    compare("any JSON, 64 KiB", &chat(272, false), |raw| {
        drop(black_box(json::strings(raw).unwrap()))
    });
    let prices = Prices::builtin();
    row(
        "price lookup",
        0,
        measure(|| drop(black_box(prices.lookup("openai", black_box("gpt-4o-mini"))))),
        None,
    );
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(40);
    row(
        "token count",
        text.len(),
        measure(|| _ = black_box(tokens::count("gpt-4o", black_box(&text)))),
        None,
    );
}
