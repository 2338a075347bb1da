//! Forms: audio and images with a model and a prompt beside them.

use serde_json::{Value, json};

use crate::harness::{Place, Weir};
use crate::odd::{answer, provider};
use crate::policies::EMAIL;
use crate::raw::{get, post};

const PATH: &str = "/v1/audio/transcriptions";
const TYPE: [(&str, &str); 1] = [("content-type", "multipart/form-data; boundary=\"b-1\"")];
const AUDIO: &str = "ID3\r\n--b-\r\n\u{1}\u{2}";

fn form(model: &str, prompt: &str) -> String {
    let part =
        |name: &str, text: &str| format!("--b-1\r\nContent-Disposition: form-data; name={name}\r\n\r\n{text}\r\n");
    [
        part("\"model\"", model),
        part("\"file\"; filename=\"talk.mp3\"\r\nContent-Type: audio/mpeg", AUDIO),
        part("\"timestamp_granularities[]\"", "word"),
        part("\"prompt\"", prompt),
        part("\"timestamp_granularities[]\"", "segment"),
        "--b-1--\r\n".to_owned(),
    ]
    .concat()
}

/// The model chooses provider and policy, the prompt is looked at, and what nobody need change stays as it is.
#[test]
fn a_forms_texts_are_looked_at_and_its_model_chooses() {
    let place = Place::new();
    let json = |body: &str| answer("content-type: application/json\r\n", body);
    let (first, first_told) = provider(json("{\"text\":\"first\"}"));
    let (second, second_told) = provider(json("{\"text\":\"second\"}"));
    let config = format!(
        r#"
        [[upstream]]
        name = "openai"
        base_url = "{first}"
        [[upstream]]
        name = "local"
        base_url = "{second}"
        models = ["whisper-*"]
        [guard.policies.strict.actions]
        pii = "block"
        [[guard.apply]]
        policy = "strict"
        models = ["whisper-strict"]
        "#
    );
    let weir = Weir::start_config(&place, &config);
    let said = format!("Names: \"Ann\",\r\nand {EMAIL}");
    let masked = said.replace(EMAIL, "[EMAIL]");
    for (model, asked, prompt, sent) in [
        ("whisper-1", "whisper-1", "Names: Ann", "Names: Ann"),
        ("local/whisper-1", "whisper-1", "Names: Ann", "Names: Ann"),
        ("whisper-1", "whisper-1", &*said, &*masked),
        ("local/whisper-1", "whisper-1", &*said, &*masked),
    ] {
        let answer = post(&weir.addr, PATH, &TYPE, form(model, prompt).as_bytes());
        assert_eq!(answer.json()["text"], "second", "{}", answer.text());
        let told = second_told.recv().unwrap();
        assert!(told.ends_with(&form(asked, sent)), "{told}");
        let row = place.call(&answer.call_id());
        assert_eq!(
            (&row["request_model"], &row["provider"]),
            (&json!(model), &json!("local"))
        );
        let kept: Value = serde_json::from_str(row["request_body"].as_str().unwrap()).unwrap();
        let expected = json!({
            "model": model,
            "file": {"filename": "talk.mp3", "content_type": "audio/mpeg", "bytes": AUDIO.len()},
            "timestamp_granularities[]": ["word", "segment"],
            "prompt": sent,
        });
        assert_eq!(kept, expected);
    }
    // An upload of nothing but files goes through as it comes, to the first.
    let answer = post(&weir.addr, "/v1/files", &TYPE, form("whisper-1", EMAIL).as_bytes());
    assert_eq!(answer.json()["text"], "first");
    assert!(first_told.recv().unwrap().contains(EMAIL));
    let answer = post(&weir.addr, PATH, &TYPE, form("whisper-strict", &said).as_bytes());
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(place.call(&answer.call_id())["status"], "blocked");
    let policies = "select body->>'weir.guardrail.policy' as policy, count(*) as calls from events \
        where type = 'call.started' group by 1 order by 1 nulls last";
    let policies = place.sql(policies);
    assert_eq!(
        (&policies[0]["policy"], &policies[0]["calls"]),
        (&json!("strict"), &json!(1)),
        "{policies:?}"
    );
    assert_eq!(policies[1]["policy"], Value::Null);
    for (body, code) in [
        (form("whisper-1", "x").replace("--b-1--", "--b-1-"), "malformed_form"),
        (form("nobody-s", "x"), "model_not_found"),
    ] {
        let answer = post(&weir.addr, PATH, &TYPE, body.as_bytes());
        assert_eq!(answer.json()["error"]["code"], code, "{}", answer.text());
        assert_eq!(place.call(&answer.call_id())["error_code"], code);
    }
    assert!(second_told.try_recv().is_err());
    let metrics = get(&weir.addr, "/metrics").text();
    for counted in ["request_file\"} 6\n", "request_content_type\"} 1\n"] {
        assert!(metrics.contains(counted), "{counted} in {metrics}");
    }
    place.assert_absent(EMAIL);
    weir.stop();
    place.verify();
}
