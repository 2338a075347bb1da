//! Answers of our own in the provider's shape: what a blocked app sees with `on_block = "refusal"`.

use provider::json::quote;
use provider::openai::Endpoint;

/// `finish_reason` of everything that a guardrail ended; official SDKs know it.
pub const FINISH_REASON: &str = "content_filter";

/// A whole answer that says `message`.
pub fn whole(endpoint: Endpoint, id: &str, model: &str, message: &str) -> String {
    let (id, model, message, created) = (quote(&format!("weir-{id}")), quote(model), quote(message), created());
    let usage = r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#;
    match endpoint {
        Endpoint::Completions => format!(
            r#"{{"id":{id},"object":"text_completion","created":{created},"model":{model},"choices":[{{"index":0,"text":{message},"logprobs":null,"finish_reason":"{FINISH_REASON}"}}],"usage":{usage}}}"#
        ),
        _ => format!(
            r#"{{"id":{id},"object":"chat.completion","created":{created},"model":{model},"choices":[{{"index":0,"message":{{"role":"assistant","content":{message},"refusal":null}},"logprobs":null,"finish_reason":"{FINISH_REASON}"}}],"usage":{usage}}}"#
        ),
    }
}

/// The same as server-sent events, up to and with `[DONE]`.
pub fn streamed(endpoint: Endpoint, id: &str, model: &str, message: &str) -> String {
    let (id, model, message, created) = (quote(&format!("weir-{id}")), quote(model), quote(message), created());
    let (object, said, end) = match endpoint {
        Endpoint::Completions => ("text_completion", format!(r#""text":{message}"#), r#""text":"""#),
        _ => (
            "chat.completion.chunk",
            format!(r#""delta":{{"role":"assistant","content":{message}}}"#),
            r#""delta":{}"#,
        ),
    };
    let head =
        format!(r#"{{"id":{id},"object":"{object}","created":{created},"model":{model},"choices":[{{"index":0,"#);
    format!(
        "data: {head}{said},\"finish_reason\":null}}]}}\n\ndata: {head}{end},\"finish_reason\":\"{FINISH_REASON}\"}}]}}\n\ndata: [DONE]\n\n"
    )
}

fn created() -> i64 {
    journal::clock::unix_nano() / 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_json_of_the_right_shape() {
        for endpoint in [Endpoint::ChatCompletions, Endpoint::Completions] {
            let whole: serde_json::Value = serde_json::from_str(&whole(endpoint, "1", "m\"", "no \"way\"")).unwrap();
            assert_eq!(whole["choices"][0]["finish_reason"], FINISH_REASON);
            assert_eq!(whole["model"], "m\"");
            let streamed = streamed(endpoint, "1", "m", "no \"way\"\n");
            let frames: Vec<&str> = streamed
                .split_terminator("\n\n")
                .map(|f| f.strip_prefix("data: ").unwrap())
                .collect();
            assert_eq!((frames.len(), frames[2]), (3, "[DONE]"));
            for frame in &frames[..2] {
                serde_json::from_str::<serde_json::Value>(frame).unwrap();
            }
        }
    }
}
