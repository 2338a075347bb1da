use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::{Action, CallContext, Kind, Pack, Phase, Policy, PolicySpec};

static POLICY: LazyLock<Arc<Policy>> = LazyLock::new(|| {
    let spec = PolicySpec {
        actions: [(Kind::Pii, Action::Vault)].into(),
        ..PolicySpec::default()
    };
    Arc::new(Policy::compile(&spec, &Pack::builtin()).unwrap())
});

fn fragments() -> impl Strategy<Value = String> {
    let known = prop::sample::select(
        &[
            "jane@example.com",
            "bob@example.org",
            "4111 1111 1111 1111",
            "+44 20 7946 0958",
            "[EMAIL_1]",
            "[EMAIL_2]",
            "[EMAIL_1",
            "[EMAIL",
            "[[EMAIL_1]]",
            "[PHONE_1]",
            "[CARD_10]",
            "[]",
            "[EMAIL_0]",
            "[",
            "]",
            "_1]",
            "é禁👩\u{200D}👧",
            "write to ",
            ", ",
            "\n",
            "a \"quoted\\\" word",
        ][..],
    );
    prop::collection::vec(prop_oneof![4 => known.prop_map(str::to_owned), 1 => "\\PC{1,5}"], 1..9)
        .prop_map(|parts| parts.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_vaulted_comes_back_at_every_cut(text in fragments()) {
        let policy = &*POLICY;
        let session = Vault::new(VaultLimits::default()).session("s");
        let outcome = policy.scan(Phase::Input, &text);
        let vaulted = outcome.vaulted(&text, &session);
        for value in ["jane@example.com", "bob@example.org"] {
            prop_assert!(!vaulted.contains(value), "{vaulted}");
        }
        prop_assert_eq!(&outcome.at_rest_vaulted(&text, true, &session), &vaulted);
        prop_assert_eq!(session.restore(&vaulted, Escaping::Plain), text.as_str());
        for cut in (0..=vaulted.len()).filter(|cut| vaulted.is_char_boundary(*cut)) {
            let mut restorer = session.restorer(Escaping::Plain);
            let mut out = restorer.push(&vaulted[..cut]).into_owned();
            out.push_str(&restorer.push(&vaulted[cut..]));
            out.push_str(&restorer.finish());
            prop_assert_eq!(&out, &text, "cut at {}", cut);
        }
        let mut restorer = session.restorer(Escaping::Plain);
        let mut out = String::new();
        for c in vaulted.chars() {
            out.push_str(&restorer.push(c.encode_utf8(&mut [0; 4])));
            prop_assert!(restorer.held() < LONGEST);
        }
        out.push_str(&restorer.finish());
        prop_assert_eq!(&out, &text);
    }

    #[test]
    fn a_stream_is_vaulted_like_the_whole_text(text in fragments()) {
        let policy = &*POLICY;
        let vault = Vault::new(VaultLimits::default());
        let whole = policy.scan(Phase::Input, &text).vaulted(&text, &vault.session("whole"));
        for cut in (0..=text.len()).filter(|cut| text.is_char_boundary(*cut)) {
            let session = vault.session(&format!("cut {cut}"));
            session.reserve(&text);
            let mut scanner = policy.scanner_with(Phase::Input, &CallContext::default().with_vault(session));
            let mut out = scanner.push(&text[..cut]).text;
            out.push_str(&scanner.push(&text[cut..]).text);
            out.push_str(&scanner.finish().text);
            prop_assert_eq!(&out, &whole, "cut at {}", cut);
        }
    }
}

#[test]
fn a_typed_token_is_never_given_to_a_value() {
    let policy = &*POLICY;
    let session = Vault::new(VaultLimits::default()).session("s");
    let text = "What is [EMAIL_1]? Mine is jane@example.com.";
    let vaulted = policy.scan(Phase::Input, text).vaulted(text, &session);
    assert_eq!(vaulted, "What is [EMAIL_1]? Mine is [EMAIL_2].");
    assert_eq!(
        session.restore("[EMAIL_1] [EMAIL_2]", Escaping::Plain),
        "[EMAIL_1] jane@example.com"
    );
    // Typed later, when it is taken: it comes back as it was typed.
    let late = "And [EMAIL_2], jane@example.com?";
    let vaulted = policy.scan(Phase::Input, late).vaulted(late, &session);
    assert_eq!(vaulted, "And [EMAIL_3], [EMAIL_2]?");
    assert_eq!(session.restore(&vaulted, Escaping::Plain), late);
}

#[test]
fn sessions_never_mix() {
    let vault = Vault::new(VaultLimits::default());
    let (a, b) = (vault.session("a"), vault.session("b"));
    assert_eq!(a.token("EMAIL", "a@example.com"), "[EMAIL_1]");
    assert_eq!(b.restore("[EMAIL_1]", Escaping::Plain), "[EMAIL_1]");
    assert_eq!(b.token("EMAIL", "b@example.com"), "[EMAIL_1]");
    assert_eq!(a.restore("[EMAIL_1]", Escaping::Plain), "a@example.com");
    assert_eq!(vault.session("a").token("EMAIL", "a@example.com"), "[EMAIL_1]");
    assert_eq!(vault.session("a").token("PHONE", "a@example.com"), "[PHONE_1]");
    assert!(!format!("{a:?}").contains("example"));
}

#[test]
fn values_are_escaped_where_they_stand_in_json() {
    let session = Vault::new(VaultLimits::default()).session("s");
    let token = session.token("NAME", "Jo \"J\\\" O\n\u{1}");
    let json = format!("{{\"to\": \"{token}\"}}");
    let restored = session.restore(&json, Escaping::Json);
    let parsed: serde_json::Value = serde_json::from_str(&restored).unwrap();
    assert_eq!(parsed["to"], "Jo \"J\\\" O\n\u{1}");
}

#[test]
fn what_is_kept_is_bounded_and_counted() {
    let limits = VaultLimits {
        sessions: 2,
        entries: 1,
        ttl: Duration::from_secs(10),
    };
    let vault = Vault::new(limits);
    let start = Instant::now();
    let later = |seconds| start + Duration::from_secs(seconds);
    let first = vault.session_at("1", start);
    assert_eq!(first.token("EMAIL", "x"), "[EMAIL_1]");
    assert_eq!(first.token("EMAIL", "y"), "[EMAIL]", "full: redacted");
    assert_eq!(first.token("EMAIL", "x"), "[EMAIL_1]");
    vault.session_at("2", later(1));
    vault.session_at("1", later(2));
    vault.session_at("3", later(3));
    assert_eq!(vault.stats().evicted, 1, "2 was used longest ago");
    assert_eq!(vault.session_at("1", later(4)).len(), 1);
    assert!(vault.session_at("1", later(20)).is_empty(), "too old");
    let stats = vault.stats();
    assert_eq!((stats.sessions, stats.entries), (1, 0));
    assert_eq!(stats.expired, 2);
    // Calls without a session push nobody out, and know nothing of each other.
    let alone: Vec<_> = (0..5).map(|_| vault.alone()).collect();
    assert!(alone.iter().all(|session| session.token("EMAIL", "z") == "[EMAIL_1]"));
    assert_eq!((vault.stats().sessions, vault.stats().evicted), (1, 1));
    assert!(vault.forget("1") && !vault.forget("1"));
}

#[test]
fn prose_is_not_held() {
    let session = Vault::new(VaultLimits::default()).session("s");
    session.token("EMAIL", "x");
    let mut restorer = session.restorer(Escaping::Plain);
    for text in ["let a = b[i];", "[link](x)", "[Email]", "[ ] todo", "a[0]"] {
        assert_eq!(restorer.push(text), text);
        assert_eq!(restorer.held(), 0, "{text}");
    }
    assert_eq!(restorer.push("see [EMA"), "see ");
    assert_eq!(restorer.push("IL_1"), "");
    assert_eq!(restorer.push("] now"), "x now");
}
