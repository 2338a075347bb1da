//! What an app does with the official SDKs works with nothing changed but the base URL, and is in the
//! history.

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Place, Upstream, Weir, config, eventually};
use crate::sdk::{Report, Sdk};

#[test]
fn python_sdk() {
    surface(Sdk::Python);
}

#[test]
fn node_sdk() {
    surface(Sdk::Node);
}

fn surface(sdk: Sdk) {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start_config(&place, &config(&upstream, ""));
    let report = sdk.run("surface", &weir.base_url(), &Value::Null);

    // The helpers of both SDKs make calls beside those noted.
    let noted = i64::try_from(report.calls.len()).unwrap();
    assert!(noted >= 20, "{report:?}");
    let started = i64::try_from(upstream.count("started")).unwrap();
    eventually("every call is in calls", PATIENCE, || {
        (place.sql_number("select count(*) as n from calls where status = 'completed'") == started).then_some(())
    });
    assert_eq!(
        place.sql_number("select count(*) - count(distinct call_id) as n from calls"),
        0
    );
    for name in report.calls.keys() {
        let row = place.call(report.call(name));
        assert_eq!(row["status"], "completed", "{name}: {row}");
        assert_eq!(row["http_status"], 200, "{name}");
        assert!(row["duration_ms"].as_f64().unwrap() > 0.0, "{name}: {row}");
    }
    usage_is_known(&place, &report);
    columns_say_what_was_asked(&place, &report);
    weir.stop();
    place.verify();
}

fn usage_is_known(place: &Place, report: &Report) {
    let said = &report.facts["chat"];
    // Asked for or not, streamed or not: the provider's count, and a price.
    for name in ["chat", "stream", "stream_usage"] {
        let row = place.call(report.call(name));
        assert_eq!(row["input_tokens"], said["input"], "{name}: {row}");
        assert_eq!(row["output_tokens"], said["output"], "{name}");
        assert_eq!(row["usage_source"], "provider", "{name}");
        // gpt-4o-mini: 0.15 and 0.60 USD a million tokens, so 150 and 600 nano-USD a token.
        let cost = said["input"].as_i64().unwrap() * 150 + said["output"].as_i64().unwrap() * 600;
        assert_eq!(row["cost_nano_usd"], cost, "{name}");
        assert_eq!(
            row["response_text"], said["text"],
            "{name}: a stream is kept as its whole text"
        );
        assert_eq!(row["stream"], json!(name != "chat"));
        assert!(row["ttft_ms"].as_f64().unwrap() > 0.0, "{name}");
    }
    // Unknown to the price table: no cost, not zero.
    let unpriced = place.call(report.call("reasoning"));
    assert_eq!(unpriced["cost_nano_usd"], Value::Null, "{unpriced}");
    let embedded = place.call(report.call("embeddings"));
    assert_eq!(embedded["input_tokens"], 6, "{embedded}");
}

fn columns_say_what_was_asked(place: &Place, report: &Report) {
    for (name, operation, endpoint) in [
        ("chat", "chat", "/v1/chat/completions"),
        ("completion_stream", "text_completion", "/v1/completions"),
        ("embeddings", "embeddings", "/v1/embeddings"),
    ] {
        let row = place.call(report.call(name));
        assert_eq!(row["operation"], operation, "{name}");
        assert_eq!(row["endpoint"], endpoint, "{name}");
    }
    assert_eq!(place.call(report.call("speech"))["endpoint"], "/v1/audio/speech");
    assert_eq!(place.call(report.call("models"))["endpoint"], "/v1/models");
    let chat = place.call(report.call("chat"));
    assert_eq!(chat["user_id"], "user-of-sdk", "{chat}");
    assert_eq!(chat["request_model"], "gpt-4o-mini");
    assert_eq!(chat["response_model"], "gpt-4o-mini");
    let request: Value = serde_json::from_str(chat["request_body"].as_str().unwrap()).unwrap();
    assert_eq!(request["messages"][1]["content"], "Why is the sky blue?");
    assert!(chat["request_text"].as_str().unwrap().contains("Why is the sky blue?"));
    // A streamed call of tools is kept as the message that a plain answer would have held.
    let body = |name| serde_json::from_str::<Value>(place.call(report.call(name))["response_body"].as_str().unwrap());
    let (whole, streamed) = (body("tools").unwrap(), body("tools_stream").unwrap());
    let calls = |body: &Value| body["choices"][0]["message"]["tool_calls"].clone();
    for (one, other) in calls(&whole)
        .as_array()
        .unwrap()
        .iter()
        .zip(calls(&streamed).as_array().unwrap())
    {
        assert_eq!(one["function"], other["function"]);
        assert_eq!(one["id"], other["id"]);
    }
    let n = place.call(report.call("n_stream"));
    let reasons = serde_json::to_string(&n["finish_reasons"]).unwrap();
    assert_eq!(reasons.matches("stop").count(), 3, "{reasons}");
}
