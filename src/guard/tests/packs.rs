//! The shipped packs, and what a faulty pack is told.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use guard::{Pack, Policy, PolicySpec};

const SHIPPED: [(&str, &str); 3] = [
    ("packs/pii.toml", include_str!("../packs/pii.toml")),
    ("packs/secrets.toml", include_str!("../packs/secrets.toml")),
    ("packs/injection.toml", include_str!("../packs/injection.toml")),
];

#[test]
fn every_shipped_pack_parses_and_behaves_as_its_examples_say() {
    let mut failures = Vec::new();
    for (file, text) in SHIPPED {
        match Pack::parse(file, text) {
            Ok(pack) => failures.extend(pack.test()),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(Pack::builtin().len(), SHIPPED.len());
}

#[test]
fn every_shipped_rule_has_examples_of_both_sorts() {
    for pack in Pack::builtin() {
        for rule in pack.rules() {
            let (positive, negative) = rule.examples();
            assert!(!positive.is_empty() && !negative.is_empty(), "{}", rule.id());
            assert!(!rule.description().is_empty(), "{}", rule.id());
        }
    }
}

#[test]
fn the_shipped_policy_is_the_default() {
    let policy = Policy::compile(&PolicySpec::default(), &Pack::builtin()).unwrap();
    assert_eq!(policy.version().len(), 12);
}
