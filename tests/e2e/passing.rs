//! Calls of endpoints that Weir does not know: which provider gets them, and how much of them.

use serde_json::json;

use crate::harness::{Place, Weir};
use crate::odd::{answer, provider};
use crate::policies::EMAIL;
use crate::raw::{get, post};

/// Two providers, of which only the second serves `llama-*`.
fn two(first: &str, second: &str) -> String {
    format!(
        r#"
        [[upstream]]
        name = "openai"
        base_url = "{first}"
        api_key_env = "FIRST_KEY"
        [[upstream]]
        name = "local"
        base_url = "{second}"
        models = ["llama-*"]
        [guard.policies.strict.actions]
        pii = "block"
        [[guard.apply]]
        policy = "strict"
        models = ["llama-w*"]
        "#
    )
}

/// What is meant for one provider does not go to another one, whatever the endpoint.
#[test]
fn the_model_of_any_json_body_chooses_its_provider() {
    let place = Place::new();
    let json = |body: &str| answer("content-type: application/json\r\n", body);
    let (first, first_told) = provider(json("{\"from\":\"openai\"}"));
    let (second, second_told) = provider(json("{\"from\":\"local\"}"));
    place.write_config(&two(&first, &second));
    let path = place.config();
    let args = ["--config", path.to_str().unwrap()];
    let weir = Weir::start_env(&place, &args, &[("FIRST_KEY", "sk-first")]);
    for path in ["/v1/audio/speech", "/v1/images/generations", "/v1/rerank", "/v1/echo"] {
        for model in ["local/llama-x", "llama-x"] {
            let body = json!({"model": model, "input": "hi", "n": 1}).to_string();
            let answer = post(&weir.addr, path, &[], body.as_bytes());
            assert_eq!(answer.json()["from"], "local", "{path} {model}");
            let told = second_told.recv().unwrap();
            assert!(told.starts_with(&format!("POST {path} ")), "{told}");
            assert!(told.ends_with(&body.replace("local/", "")), "{told}");
            assert!(!told.contains("sk-first"), "{told}");
            let row = place.call(&answer.call_id());
            assert_eq!(
                (&row["request_model"], &row["provider"]),
                (&json!(model), &json!("local"))
            );
        }
    }
    for body in [
        json!({"input": "hi"}),
        json!({"model": 7}),
        json!(["llama-x"]),
        json!({"model": "gpt-4o"}),
    ] {
        let answer = post(&weir.addr, "/v1/echo", &[], body.to_string().as_bytes());
        assert_eq!(answer.json()["from"], "openai", "{body}");
        assert!(first_told.recv().unwrap().contains("sk-first"));
    }
    // Nobody serves it.
    let answer = post(&weir.addr, "/v1/echo", &[], br#"{"model": "nobody-s"}"#);
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (404, &json!("model_not_found"))
    );
    // Its model chooses the policy, too.
    let said = |model: &str| json!({"model": model, "input": format!("I am {EMAIL}")}).to_string();
    let answer = post(&weir.addr, "/v1/echo", &[], said("llama-w1").as_bytes());
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(place.call(&answer.call_id())["status"], "blocked");
    let answer = post(&weir.addr, "/v1/echo", &[], said("llama-x").as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(second_told.recv().unwrap().contains("[EMAIL]"));
    for (path, asked) in [
        ("/v1/models/llama-3", "/v1/models/llama-3"),
        ("/v1/models/local/llama-3?x=1", "/v1/models/llama-3?x=1"),
        ("/v1/models/local%2Fllama-3", "/v1/models/llama-3"),
    ] {
        let answer = get(&weir.addr, path);
        assert_eq!(answer.json()["from"], "local", "{path}");
        assert!(
            second_told.recv().unwrap().starts_with(&format!("GET {asked} ")),
            "{path}"
        );
    }
    for path in ["/v1/models", "/v1/models/gpt-4o"] {
        assert_eq!(get(&weir.addr, path).json()["from"], "openai", "{path}");
        assert!(first_told.recv().unwrap().starts_with(&format!("GET {path} ")));
    }
    assert_eq!(get(&weir.addr, "/v1/models/nobody-s").status, 404);
    assert!(first_told.try_recv().is_err() && second_told.try_recv().is_err());
    weir.stop();
    place.verify();
}

/// A model's name that is personal is masked in the history, and asked for as it is.
#[test]
fn a_model_in_an_address_is_masked_like_any_other() {
    let place = Place::new();
    let (url, told) = provider(answer("content-type: application/json\r\n", "{}"));
    let config = format!("[[upstream]]\nname = \"only\"\nbase_url = \"{url}\"\nmodels = [\"llama-*\"]\n");
    let weir = Weir::start_config(&place, &config);
    // An only provider gets all of these.
    let path = format!("/v1/models/{EMAIL}");
    let answer = get(&weir.addr, &path);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(told.recv().unwrap().starts_with(&format!("GET {path} ")));
    assert_eq!(place.call(&answer.call_id())["request_model"], "[EMAIL]");
    let answer = post(&weir.addr, "/v1/audio/speech", &[], br#"{"model":"tts-1"}"#);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(told.recv().unwrap().ends_with(r#"{"model":"tts-1"}"#));
    assert_eq!(place.call(&answer.call_id())["request_model"], "tts-1");
    place.assert_absent(EMAIL);
    weir.stop();
}
