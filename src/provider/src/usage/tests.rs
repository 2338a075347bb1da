use super::*;

fn buckets(raw: &str) -> [Option<u64>; 5] {
    let usage = parse(raw).unwrap().unwrap().usage();
    [
        usage.input,
        usage.cache_read,
        usage.cache_write,
        usage.output,
        usage.reasoning,
    ]
}

#[test]
fn buckets_are_disjoint_in_every_dialect() {
    for (name, raw, expected) in [
        (
            "plain",
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#,
            [Some(10), None, None, Some(5), None],
        ),
        (
            "openai",
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
                "prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0},
                "completion_tokens_details":{"reasoning_tokens":30,"accepted_prediction_tokens":0}}"#,
            [Some(36), Some(64), None, Some(20), Some(30)],
        ),
        (
            "cache writes inside the prompt",
            r#"{"prompt_tokens":100,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":10,"cache_write_tokens":20}}"#,
            [Some(70), Some(10), Some(20), Some(5), None],
        ),
        (
            "deepseek",
            r#"{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"prompt_cache_hit_tokens":30,"prompt_cache_miss_tokens":70}"#,
            [Some(70), Some(30), None, Some(5), None],
        ),
        (
            "moonshot",
            r#"{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"cached_tokens":30}"#,
            [Some(70), Some(30), None, Some(5), None],
        ),
        (
            "xai: reasoning beside the completion",
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":40,"completion_tokens_details":{"reasoning_tokens":25}}"#,
            [Some(10), None, None, Some(5), Some(25)],
        ),
        (
            "gemini: reasoning in the total alone",
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":40}"#,
            [Some(10), None, None, Some(5), Some(25)],
        ),
        (
            "responses",
            r#"{"input_tokens":100,"output_tokens":50,"total_tokens":150,"input_tokens_details":{"cached_tokens":40},"output_tokens_details":{"reasoning_tokens":50}}"#,
            [Some(60), Some(40), None, Some(0), Some(50)],
        ),
        (
            "anthropic: the cache beside the input",
            r#"{"input_tokens":10,"cache_read_input_tokens":90,"cache_creation_input_tokens":7,"output_tokens":5}"#,
            [Some(10), Some(90), Some(7), Some(5), None],
        ),
        (
            "embeddings",
            r#"{"prompt_tokens":8,"total_tokens":8}"#,
            [Some(8), None, None, None, None],
        ),
        (
            "nulls are unknown",
            r#"{"prompt_tokens":null,"completion_tokens":5,"prompt_tokens_details":null}"#,
            [None, None, None, Some(5), None],
        ),
        (
            "floats of whole tokens",
            r#"{"prompt_tokens":8.0,"completion_tokens":1.5}"#,
            [Some(8), None, None, None, None],
        ),
    ] {
        assert_eq!(buckets(raw), expected, "{name}");
    }
}

#[test]
fn an_object_without_counts_is_no_usage() {
    for raw in ["null", "{}", "[]", "3", r#"{"cost":0.1}"#] {
        assert_eq!(parse(raw).unwrap(), None, "{raw}");
    }
}

#[test]
fn audio_is_told_apart() {
    let raw = r#"{"prompt_tokens":9,"completion_tokens":9,"prompt_tokens_details":{"audio_tokens":4},"completion_tokens_details":{"audio_tokens":3}}"#;
    assert_eq!(parse(raw).unwrap().unwrap().media, Some(7));
}
