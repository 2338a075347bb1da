//! Keys longer than the longest match of their rule: covered to their end all the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use guard::{Action, Kind, Pack, Phase, Policy, PolicySpec};

fn policy(action: Action) -> Arc<Policy> {
    let spec = PolicySpec {
        packs: vec!["secrets".to_owned()],
        actions: [(Kind::Secret, action)].into(),
        ..PolicySpec::default()
    };
    Arc::new(Policy::compile(&spec, &Pack::builtin()).unwrap())
}

/// Base64 letters that look random, in lines.
fn base64(lines: usize, line: usize) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state = 7u64;
    let mut out = String::new();
    for _ in 0..lines {
        for _ in 0..line {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            out.push(char::from(alphabet[(state >> 33) as usize % alphabet.len()]));
        }
        out.push('\n');
    }
    out
}

fn texts() -> Vec<(&'static str, String)> {
    let (begin, end) = (
        ["-----BEGIN RSA PRIVATE ", "KEY-----\n"].concat(),
        ["-----END RSA PRIVATE ", "KEY-----"].concat(),
    );
    let header = ["eyJhbGciOi", "JIUzI1NiJ9"].concat();
    let encoded = ["LS0tLS1CRUdJTiBQUklW", "QVRFIEtFWS0tLS0t"].concat();
    vec![
        ("PRIVATE_KEY", format!("{begin}{}{end}", base64(500, 64))),
        (
            "PRIVATE_KEY",
            format!("{begin}{}{end}", base64(120, 64).replace('\n', "\\n")),
        ),
        ("PRIVATE_KEY", format!("{begin}{}", base64(1, 20_000).trim_end())),
        ("PRIVATE_KEY", format!("{encoded}{}", base64(1, 13_000).trim_end())),
        (
            "JWT",
            format!(
                "{header}.eyJ{}.{}",
                base64(1, 9_000).trim_end(),
                base64(1, 43).trim_end()
            ),
        ),
        (
            "JWT",
            format!(
                "{header}.eyJ{}.{}",
                base64(1, 300).trim_end(),
                base64(1, 9_000).trim_end()
            ),
        ),
    ]
}

#[test]
fn long_keys_are_redacted_to_their_end() {
    let policy = policy(Action::Redact);
    for (entity, key) in texts() {
        let text = format!("before {key} after");
        let outcome = policy.scan(Phase::Output, &text);
        assert_eq!(
            outcome.redacted(&text),
            format!("before [{entity}] after"),
            "{}",
            key.len()
        );
        assert_eq!(outcome.at_rest(&text, false), format!("before [{entity}] after"));
        for size in [1, 5, 777, 5000] {
            let mut scanner = policy.scanner(Phase::Output);
            let (mut released, mut verdicts, mut held) = (String::new(), Vec::new(), 0);
            for piece in text.as_bytes().chunks(size) {
                let release = scanner.push(std::str::from_utf8(piece).unwrap());
                released.push_str(&release.text);
                verdicts.extend(release.verdicts);
                held = held.max(scanner.held());
            }
            let last = scanner.finish();
            verdicts.extend(last.verdicts);
            assert_eq!(released + &last.text, format!("before [{entity}] after"), "{size}");
            assert_eq!(verdicts, outcome.verdicts, "{size}");
            assert!(held <= 4096 + 512, "held {held}");
        }
    }
}

/// What has to be undone lies at their beginning: the rest of them is taken, too.
#[test]
fn long_keys_with_a_coded_beginning_are_redacted_to_their_end() {
    let policy = policy(Action::Redact);
    for (entity, key) in texts() {
        for (plain, coded) in [
            (" PRIVATE ", "&#32;PRIVATE&nbsp;"),
            (" PRIVATE ", "%20PRIVATE%20"),
            ("KEY-----\n", "KEY-----&#10;"),
            ("KEY-----\n", "KEY-----\\u000a"),
        ] {
            if !key.contains(plain) {
                continue;
            }
            let after = " after, and in words that mean nothing".repeat(20);
            let text = format!("before {}{after}", key.replacen(plain, coded, 1));
            let outcome = policy.scan(Phase::Input, &text);
            assert_eq!(
                outcome.redacted(&text),
                format!("before [{entity}]{after}"),
                "{coded} {}",
                key.len()
            );
        }
    }
}

#[test]
fn long_keys_block_and_are_flagged_whole() {
    for (_, key) in texts() {
        let text = format!("before {key} after");
        let mut scanner = policy(Action::Block).scanner(Phase::Input);
        let mut released = String::new();
        for piece in text.as_bytes().chunks(9) {
            released.push_str(&scanner.push(std::str::from_utf8(piece).unwrap()).text);
        }
        assert_eq!(released + &scanner.finish().text, "before ");
        let verdicts = policy(Action::Flag).scan(Phase::Input, &text).verdicts;
        assert_eq!((verdicts[0].start, verdicts.last().unwrap().end), (7, 7 + key.len()));
        assert!(verdicts.windows(2).all(|pair| pair[1].start < pair[0].end), "no gap");
    }
}

#[test]
fn what_follows_a_key_is_left_alone() {
    let policy = policy(Action::Redact);
    let (_, key) = &texts()[0];
    let prose = "\n\nThis is what the key above is for: nothing at all. ".repeat(200);
    let text = format!("{key}{prose}");
    assert_eq!(
        policy.scan(Phase::Input, &text).redacted(&text),
        format!("[PRIVATE_KEY]{prose}")
    );
}

#[test]
fn long_values_are_redacted_to_their_end() {
    let policy = policy(Action::Redact);
    let forms = [
        ("Authorization: Bearer ", "\nHost: a", "BEARER_TOKEN"),
        ("Authorization: Basic ", "\nHost: a", "BASIC_CREDENTIALS"),
        ("Authorization: Token ", "\nHost: a", "AUTHORIZATION"),
        ("X-Api-Key: ", "\nHost: a", "API_KEY"),
        ("ya29.", " after", "GOOGLE_OAUTH"),
        ("//registry.npmjs.org/:_authToken=", " after", "NPM_TOKEN"),
        ("EAACEdEose0cBA", " after", "FACEBOOK_TOKEN"),
        ("{\"refresh_token\":\"", "\"}", "SECRET"),
        ("#access_token=", "&x=1", "SECRET"),
        ("client_secret: '", "'", "SECRET"),
        ("api_key=", "\n", "SECRET"),
        ("postgres://u:", "@h", "PASSWORD"),
        ("https://u:", "@git.acme.io/r", "PASSWORD"),
        ("{\"auth\": \"", "\"}", "DOCKER_AUTH"),
        ("kind: Secret\ndata:\n  a: ", "\n", "SECRET"),
        ("kind: Secret\ndata:\n  a: YQ==\n  b: ", "\n", "SECRET"),
        ("password=Xk4!", "\n", "PASSWORD"),
    ];
    for length in [300, 600, 1500, 3000] {
        let value = base64(1, length);
        let value = value.trim_end();
        for (before, after, entity) in forms {
            let text = format!("{before}{value}{after}");
            let redacted = policy.scan(Phase::Output, &text).redacted(&text);
            assert!(!redacted.contains(&value[length - 8..]), "{length} of {redacted}");
            assert!(redacted.contains(&format!("[{entity}]")), "{length} of {redacted}");
            let mut scanner = policy.scanner(Phase::Output);
            let pieces = text.as_bytes().chunks(7);
            let released = pieces.map(|piece| scanner.push(std::str::from_utf8(piece).unwrap()).text);
            let released: String = released.collect();
            assert_eq!(released + &scanner.finish().text, redacted, "{before}");
        }
    }
}

#[test]
fn each_part_of_a_private_jwk_is_redacted() {
    let policy = policy(Action::Redact);
    for size in [342, 683] {
        let value = |length: usize| base64(1, length).trim_end().to_owned();
        let members = ["d", "p", "q", "dp", "dq", "qi"].map(|name| {
            let length = if name == "d" { size } else { size / 2 };
            format!("\"{name}\":\"{}\"", value(length))
        });
        let public = format!("\"kty\":\"RSA\",\"n\":\"{}\",\"e\":\"AQAB\"", value(size));
        let key = format!("{{{public},{}}}", members.join(","));
        let redacted = policy.scan(Phase::Input, &key).redacted(&key);
        assert_eq!(redacted.matches("[PRIVATE_KEY]").count(), 6, "{redacted}");
        assert!(redacted.starts_with(&format!("{{{public},")));
        let last = format!("{{{},{public},{}}}", members[1..].join(","), members[0]);
        let redacted = policy.scan(Phase::Input, &last).redacted(&last);
        assert_eq!(redacted.matches("[PRIVATE_KEY]").count(), 6, "{redacted}");
    }
}

#[test]
fn each_value_of_a_kubernetes_secret_is_redacted() {
    let policy = policy(Action::Redact);
    let value = base64(1, 24);
    let value = value.trim_end();
    for count in 1..9 {
        let data: String = (0..count).map(|key| format!("  key-{key}: {value}\n")).collect();
        let text = format!("kind: Secret\nmetadata:\n  name: x\ntype: Opaque\ndata:\n{data}---\nkind: ConfigMap\n");
        let redacted = policy.scan(Phase::Input, &text).redacted(&text);
        assert_eq!(redacted.matches(value).count(), 0, "{redacted}");
        assert_eq!(redacted.matches("[SECRET]").count(), count.min(3), "{redacted}");
        assert!(redacted.ends_with("\n---\nkind: ConfigMap\n"));
        let text = format!("apiVersion: v1\ndata:\n{data}kind: Secret\nmetadata:\n  name: x\n");
        let redacted = policy.scan(Phase::Input, &text).redacted(&text);
        assert_eq!(redacted.matches(value).count(), 0, "{redacted}");
        assert!(redacted.ends_with("\nkind: Secret\nmetadata:\n  name: x\n"));
    }
}
