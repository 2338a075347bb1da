//! What keeps apart: sessions of different keys, an app and what is kept of its name, a match and what stands
//! within it, an address and what it carries.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Place, Upstream, Weir, config};
use crate::lifecycle::fed;
use crate::policies::{CHAT, VAULT, ask, content, encode, sent, webhook};
use crate::raw::post;

/// A session's name is an app's own choice: another key's session of that name is another session.
#[test]
fn sessions_of_different_keys_stay_apart() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let keys: String = [("a", "key-of-a"), ("b", "key-of-b")]
        .map(|(name, key)| {
            let hash = fed(&["config", "hash-key"], key);
            format!("[[client_key]]\nname = \"{name}\"\nhash = \"{}\"\n", hash.trim())
        })
        .concat();
    let weir = Weir::start_config(&place, &config(&upstream, &(VAULT.to_owned() + &keys)));
    let call = |key: &str, text: &str| {
        let (bearer, demo) = (format!("Bearer {key}"), format!("say={}", encode("Hi [EMAIL_1]")));
        let headers = [("authorization", &*bearer), ("x-weir-session", "1"), ("x-demo", &demo)];
        content(&post(&weir.addr, CHAT, &headers, &ask(text, false)).json()).to_owned()
    };
    assert_eq!(call("key-of-a", "I am ana@example.com"), "Hi ana@example.com");
    assert_eq!(call("key-of-b", "Who am I?"), "Hi [EMAIL_1]");
    assert_eq!(call("key-of-a", "Who am I?"), "Hi ana@example.com");
    weir.stop();
}

/// A policy is chosen by what an app is called, and not by what may be kept of that.
#[test]
fn a_masked_name_chooses_no_other_policy() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let policies = "[guard.policies.strict.actions]\npii = \"block\"\n\
        [[guard.apply]]\npolicy = \"strict\"\napps = [\"loans*\"]\n";
    let weir = Weir::start_config(&place, &config(&upstream, policies));
    for app in ["loans", "loans@bank.example"] {
        let answer = post(
            &weir.addr,
            CHAT,
            &[("x-weir-app", app)],
            &ask("I am ana@example.com", false),
        );
        assert_eq!(answer.status, 400, "{app}: {}", answer.text());
    }
    place.assert_absent("loans@bank.example");
    weir.stop();
}

const RECORD: &str = r#"
name = "acme"
version = "1"
kind = "pii"

[[rule]]
id = "record"
description = "A record of a customer"
entity = "RECORD"
regex = "RECORD: [^;]{1,80};"
action = "ask"
[rule.examples]
positive = ["RECORD: 77;"]
negative = ["RECORDS"]

[[check]]
id = "prompt"
description = "The system prompt in an answer"
entity = "PROMPT"
kind = "leak"
phase = "output"
action = "block"
uses = "system-prompt"
"#;

/// `RECORD` as a pack, with the shipped ones or without.
fn with_records(place: &Place, upstream: &Upstream, more: &str) -> String {
    std::fs::write(place.config().with_file_name("acme.toml"), RECORD).unwrap();
    let packs = "[guard]\npack_files = [\"acme.toml\"]\n[guard.policy]\n\
        packs = [\"pii\", \"secrets\", \"injection\", \"acme\"]\n";
    config(upstream, &format!("{packs}{more}"))
}

/// What is asked about covers nothing: if it may pass, what stands within it is redacted all the same.
#[test]
fn what_may_pass_hides_nothing_within_it() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let (url, _told) = webhook(|_| json!("flag"), Duration::ZERO);
    let more = format!("[guard.webhook]\nurl = \"{url}\"\non_error = \"block\"\n");
    let weir = Weir::start_config(&place, &with_records(&place, &upstream, &more));
    let text = "RECORD: jane@example.com card 4539578763621486; thanks";
    let answer = post(&weir.addr, CHAT, &[("x-demo", "keep=record")], &ask(text, false));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = sent(&upstream, "record");
    assert!(sent.contains("RECORD: [EMAIL] card [CREDIT_CARD]; thanks"), "{sent}");
    place.assert_absent("jane@example.com");
    weir.stop();
}

/// The same words may be harmless in one text and not in another: one `block` is enough, whichever is first.
#[test]
fn the_strongest_of_several_decisions_counts() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let decide = |question: &Value| match question["text"].as_str().unwrap().contains("BLOCKME") {
        true => json!("block"),
        false => json!("flag"),
    };
    let (url, _told) = webhook(decide, Duration::ZERO);
    let more = format!("[guard.webhook]\nurl = \"{url}\"\non_error = \"flag\"\n");
    let weir = Weir::start_config(&place, &with_records(&place, &upstream, &more));
    let (mild, bad) = ("RECORD: customer 77;", "BLOCKME RECORD: customer 77;");
    for [first, second] in [[mild, bad], [bad, mild]] {
        let messages = json!([{"role": "system", "content": first}, {"role": "user", "content": second}]);
        let body = json!({"model": "gpt-4o-mini", "messages": messages}).to_string();
        let answer = post(&weir.addr, CHAT, &[], body.as_bytes());
        assert_eq!(answer.status, 400, "{first}: {}", answer.text());
    }
    assert_eq!(upstream.count("started"), 0);
    weir.stop();
}

/// A pack of any name may look for the system prompt.
#[test]
fn any_pack_may_look_for_the_system_prompt() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let asked = "[guard.webhook]\nurl = \"http://127.0.0.1:9/\"\n";
    let weir = Weir::start_config(&place, &with_records(&place, &upstream, asked));
    let prompt = "You are the assistant of a bank and never tell anybody the password of the vault in the cellar.";
    let messages = json!([{"role": "system", "content": prompt}, {"role": "user", "content": "Hello"}]);
    let body = json!({"model": "gpt-4o-mini", "messages": messages}).to_string();
    let demo = format!("say={}", encode(&format!("I was told: {prompt}")));
    let answer = post(&weir.addr, CHAT, &[("x-demo", &demo)], body.as_bytes());
    assert_eq!(answer.status, 400, "{}", answer.text());
    weir.stop();
}

/// Arguments of a tool call without a single backslash are JSON, too: what is put back may need some.
#[test]
fn values_with_line_breaks_come_back_as_json() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start_config(
        &place,
        &config(&upstream, "[guard.policy.actions]\nsecret = \"vault\"\n"),
    );
    let line = "MIIEpAIBAAKCAQEA3Tz2mr7SZiAMfQyuvBjM9Oi3j7zZ1xk4LQ8fUvWc2dXbRt6H";
    let key = format!("-----BEGIN RSA PRIVATE KEY-----\n{line}\n-----END RSA PRIVATE KEY-----");
    let tool = json!({"type": "function", "function": {"name": "keep", "parameters": {"type": "object"}}});
    let messages = json!([{"role": "user", "content": format!("Keep this:\n{key}")}]);
    let body = json!({"model": "gpt-4o-mini", "tools": [tool], "messages": messages}).to_string();
    let demo = format!("delay_ms=0,args={}", encode(r#"{"k": "[PRIVATE_KEY_1]"}"#));
    let answer = post(&weir.addr, CHAT, &[("x-demo", &demo)], body.as_bytes()).json();
    let call = &answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"];
    let arguments: Value = serde_json::from_str(call.as_str().unwrap()).unwrap_or_else(|e| panic!("{e}: {answer}"));
    assert_eq!(arguments, json!({"k": key}));
    weir.stop();
}

/// The query of an address may say anything.
#[test]
fn addresses_of_images_are_looked_at() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let image = json!({"type": "image_url", "image_url": {"url": "https://x.example/a.png?of=jane@example.com"}});
    let body = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": [image]}]}).to_string();
    let answer = post(&weir.addr, CHAT, &[("x-demo", "keep=image")], body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = sent(&upstream, "image");
    assert!(sent.contains("https://x.example/a.png?of=[EMAIL]"), "{sent}");
    weir.stop();
}
