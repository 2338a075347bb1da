//! A `gitleaks.toml` is used as it is; what it cannot have here is said.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read as _;
use std::sync::{Arc, OnceLock};

use guard::{Pack, Phase, Policy, PolicySpec};

/// The default configuration of gitleaks 8.30 (MIT licence, beside it), compressed: scanners would take
/// what it allows for live keys.
const UPSTREAM: &[u8] = include_bytes!("data/gitleaks/gitleaks.toml.gz");

fn upstream() -> &'static Pack {
    static PACK: OnceLock<Pack> = OnceLock::new();
    PACK.get_or_init(|| {
        let mut text = String::new();
        flate2::read::GzDecoder::new(UPSTREAM)
            .read_to_string(&mut text)
            .unwrap();
        Pack::parse("conf/gitleaks.toml", &text).unwrap()
    })
}

fn policy(pack: &Pack) -> Arc<Policy> {
    let spec = PolicySpec {
        packs: vec![pack.name().to_owned()],
        ..PolicySpec::default()
    };
    Arc::new(Policy::compile(&spec, std::slice::from_ref(pack)).unwrap())
}

fn import(toml: &str) -> Pack {
    Pack::parse("gitleaks.toml", toml).unwrap()
}

/// The rules that match, with what they cover.
fn found(policy: &Policy, text: &str) -> Vec<(String, String)> {
    let verdicts = policy.scan(Phase::Input, text).verdicts;
    verdicts
        .iter()
        .map(|v| (v.rule.to_string(), text[v.start..v.end].to_owned()))
        .collect()
}

/// Letters and digits that look random, `n` of `alphabet`.
fn random(seed: u64, alphabet: &str, n: usize) -> String {
    let (mut state, alphabet) = (seed * 2_654_435_761 + 1, alphabet.as_bytes());
    (0..n)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            char::from(alphabet[(state >> 33) as usize % alphabet.len()])
        })
        .collect()
}

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &str = "0123456789abcdef";

#[test]
fn the_default_configuration_imports_whole() {
    let pack = upstream();
    let left_out: Vec<_> = pack
        .warnings()
        .iter()
        .filter(|w| w.reason.starts_with("left out"))
        .collect();
    let rules: Vec<_> = left_out.iter().map(|w| w.rule.as_deref().unwrap()).collect();
    // One asks for a path, the other for an automaton beyond all bounds (the pack `secrets` has its like).
    assert_eq!(rules, ["curl-auth-user", "pkcs12-file"], "{left_out:#?}");
    assert_eq!((pack.name(), pack.rules().len()), ("gitleaks", 220));
    assert!(
        pack.warnings()
            .iter()
            .all(|w| w.line > 1 && w.file == "conf/gitleaks.toml")
    );
    assert!(pack.warnings().len() < 30, "{:#?}", pack.warnings());
}

#[test]
fn it_finds_its_own_kinds_of_keys() {
    let policy = policy(upstream());
    let uuid = |seed| {
        format!(
            "{}-{}-{}-{}-{}",
            random(seed, HEX, 8),
            random(seed + 1, HEX, 4),
            random(seed + 2, HEX, 4),
            random(seed + 3, HEX, 4),
            random(seed + 4, HEX, 12)
        )
    };
    for (rule, value, text) in [
        ("adafruit-api-key", random(1, LOWER, 32), "adafruit_api_key = \"{}\""),
        ("airtable-api-key", random(2, LOWER, 17), "airtableToken: '{}'"),
        ("asana-client-secret", random(3, LOWER, 32), "ASANA_SECRET={}"),
        (
            "aws-access-token",
            format!("{}{}", "AKIA", random(4, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
            "id {} .",
        ),
        ("cisco-meraki-api-key", random(5, HEX, 40), "meraki_key = {}\n"),
        ("cohere-api-token", random(6, ALNUM, 40), "CO_API_KEY={}"),
        (
            "databricks-api-token",
            format!("dapi{}", random(7, HEX, 32)),
            "token {} ",
        ),
        ("digitalocean-pat", format!("dop_v1_{}", random(8, HEX, 64)), "{}"),
        ("github-pat", format!("ghp_{}", random(9, ALNUM, 36)), "see {}"),
        ("gitlab-pat", format!("glpat-{}", random(10, ALNUM, 20)), "{}"),
        (
            "hashicorp-tf-api-token",
            format!("{}.atlasv1.{}", random(11, ALNUM, 14), random(12, ALNUM, 67)),
            "token = \"{}\"",
        ),
        ("heroku-api-key", uuid(13), "heroku_key: {}"),
        ("npm-access-token", format!("npm_{}", random(19, ALNUM, 36)), "{}"),
        ("sendbird-access-id", uuid(20), "sendbird = {};"),
        ("snyk-api-token", uuid(25), "snyk_token = {}"),
        (
            "stripe-access-token",
            format!("sk_live_{}", random(30, ALNUM, 24)),
            "{}",
        ),
        ("sumologic-access-token", random(31, LOWER, 64), "sumo_key=\"{}\""),
        ("zendesk-secret-key", random(32, LOWER, 40), "zendesk_token = {}"),
        ("generic-api-key", random(33, ALNUM, 40), "my_secret = \"{}\""),
    ] {
        let text = text.replace("{}", &value);
        let found = found(&policy, &text);
        // Another rule may name the same value first.
        let covered = found
            .iter()
            .any(|(id, v)| *v == value && (id.ends_with(rule) || id.ends_with("generic-api-key")));
        assert!(covered, "{rule}: {text}: {found:?}");
    }
    let key = format!(
        "-----BEGIN RSA PRIVATE {0}-----\n{1}\n-----END RSA PRIVATE {0}-----",
        "KEY",
        random(40, ALNUM, 64)
    );
    assert_eq!(
        found(&policy, &format!("a {key} b")),
        [("gitleaks.private-key".to_owned(), key)]
    );
    for harmless in [
        "aws_access_key: AKIA0000000000000000",
        "the secret of good soup is patience; token by token, key by key",
        "\"integrity\": \"sha512-of-a-lockfile\"",
        "password = ${PASSWORD}",
    ] {
        assert_eq!(found(&policy, harmless), [], "{harmless}");
    }
}

#[test]
fn streams_of_an_imported_pack_equal_the_whole_text() {
    let policy = policy(upstream());
    let text = format!(
        "curl -u admin:{} https://x\nadafruit_key = \"{}\" and discord = {} {{}} ghp_{} end",
        random(50, ALNUM, 12),
        random(51, LOWER, 32),
        random(52, HEX, 64),
        random(53, ALNUM, 36),
    );
    let whole = policy.scan(Phase::Output, &text).release(&text);
    assert!(whole.verdicts.len() >= 3, "{:?}", whole.verdicts);
    for size in [1, 3, 7, 50] {
        let mut scanner = policy.scanner(Phase::Output);
        let (mut released, mut verdicts) = (String::new(), Vec::new());
        for piece in text.as_bytes().chunks(size) {
            let release = scanner.push(std::str::from_utf8(piece).unwrap());
            released.push_str(&release.text);
            verdicts.extend(release.verdicts);
        }
        let last = scanner.finish();
        verdicts.extend(last.verdicts);
        assert_eq!(
            (released + &last.text, verdicts),
            (whole.text.clone(), whole.verdicts.clone()),
            "{size}"
        );
    }
}

#[test]
fn groups_entropy_and_allow_lists_are_honoured() {
    let pack = import(
        r#"
title = "ours"
[extend]
useDefault = true

[[allowlists]]
targetRules = ["ticket"]
stopwords = ["000"]

[[rules]]
id = "Ticket"
regex = '''(acme)-(?:x)([0-9a-z]{6})'''
secretGroup = 2
entropy = 1.5
keywords = ["ACME-"]
[[rules.allowlists]]
regexTarget = "match"
regexes = ['''^acme-xabc''']
[[rules.allowlists]]
condition = "AND"
regexes = ['''9$''']
stopwords = ["ZZ"]
"#,
    );
    let policy = policy(&pack);
    let values = |text: &str| {
        found(&policy, text)
            .into_iter()
            .map(|(_, value)| value)
            .collect::<Vec<_>>()
    };
    assert_eq!(values("see acme-x12ab34, thanks"), ["12ab34"]);
    assert_eq!(pack.rules().next().unwrap().id(), "gitleaks.ticket");
    for allowed in ["acme-xaaaaaa", "acme-xabc123", "acme-xzz1239"] {
        assert_eq!(values(allowed), Vec::<String>::new(), "{allowed}");
    }
    assert_eq!(values("acme-xzz1238"), ["zz1238"], "a list with AND needs both");
    assert_eq!(
        policy.scan(Phase::Tool, "acme-x12ab34").action(),
        Some(guard::Action::Flag)
    );
}

#[test]
fn what_is_not_honoured_is_said_with_its_line() {
    let pack = import(
        r#"[extend]
useDefault = true
disabledRules = ["aws-access-token"]
[allowlist]
paths = ['''vendor''']
[[rules]]
id = "path"
path = '''\.p12$'''
[[rules]]
id = "composite"
regex = '''abc[0-9]{4}'''
[[rules.required]]
id = "path"
[[rules]]
id = "weak"
regex = '''[a-z]{9}\.key'''
[[rules]]
id = "broken"
regex = '''abc('''
[[rules]]
id = "far"
regex = '''sgp_[a-f0-9]{40}|[a-f]{3}[0-9]{37}'''
keywords = ["sgp_"]
[[rules]]
id = "far"
regex = '''def[0-9]{4}'''
[[rules.allowlists]]
regexTarget = "line"
regexes = ['''(''', 'x']
"#,
    );
    let said: Vec<_> = pack
        .warnings()
        .iter()
        .map(|w| {
            (
                w.line,
                w.rule.clone().unwrap_or_default(),
                w.reason.split([':', ',', ';']).next().unwrap().to_owned(),
            )
        })
        .collect();
    let expected = [
        (1, "", "`useDefault`"),
        (1, "", "`disabledRules` (aws-access-token) has no effect"),
        (4, "", "`paths` and `commits` of an allow list are not looked at"),
        (6, "path", "left out"),
        (9, "composite", "left out"),
        (14, "weak", "it begins at a word boundary only"),
        (17, "broken", "left out"),
        (20, "far", "a match counts only if it holds a keyword itself"),
        (27, "far", "`regexTarget = \"line\"`"),
        (27, "far", "`(` of an allow list is left out"),
        (24, "far", "the id is used twice"),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(l, r, w)| (*l, (*r).to_owned(), (*w).to_owned()))
        .collect();
    assert_eq!(said, expected);
    assert_eq!(
        pack.rules().map(|r| r.id()).collect::<Vec<_>>(),
        ["gitleaks.weak", "gitleaks.far"]
    );
    let error = Pack::parse("g.toml", "[[rules]]\nid = \"x\"\nregex = 3").unwrap_err();
    assert_eq!((error.line, error.file.as_str()), (3, "g.toml"));
}
