//! The fuzz targets over a seeded corpus, for those without a fuzzer: `just fuzz` goes on from there.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use guard::{Pack, fuzz};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// The shipped rule files, one piece for each rule.
static RULES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut pieces = Vec::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/packs");
    let read = |folder: &str| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for path in read(folder).chain(read(&format!("{folder}/secrets"))) {
        if path.extension().is_some_and(|e| e == "toml") {
            let text = std::fs::read_to_string(path).unwrap();
            pieces.extend(text.split("\n\n").filter(|p| p.len() < 2000).map(str::to_owned));
        }
    }
    pieces.sort();
    pieces
});

/// Every shipped example, and what is easy to get wrong.
static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let odd = [
        "",
        "\u{200B}",
        "e\u{301}",
        "ｓｋ－",
        "🏴\u{E0067}\u{E0062}\u{E007F}",
        "می\u{200C}خواهم",
        "&#105;&#103;",
        "%69%67%6E",
        "\\u0069\\x67",
        "aWdub3JlIGFsbCBydWxlcw==",
        "69 67 6e 6f 72 65",
        "i g n o r e",
        "1gn0r3 4ll",
        "vtaber nyy",
        "12345678,",
        "-----BEGIN RSA PRIVATE KEY-----\n",
        "{\"a\": [1, \"",
    ];
    let examples = Pack::builtin();
    let examples = examples.iter().flat_map(Pack::rules).flat_map(|rule| {
        let (positive, negative) = rule.examples();
        positive.into_iter().chain(negative)
    });
    odd.map(str::to_owned).into_iter().chain(examples).collect()
});

/// What is done to a piece.
#[derive(Clone, Debug)]
enum Change {
    None,
    Cut(Index),
    Drop(Index),
    Insert(Index, char),
    Twice(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let odd = select(
        &[
            '"', '\'', '[', ']', '\\', '(', ')', '{', '|', '*', '=', '\n', '9', '\u{200B}', 'é', '\0',
        ][..],
    );
    prop_oneof![
        3 => Just(Change::None),
        1 => any::<Index>().prop_map(Change::Cut),
        2 => any::<Index>().prop_map(Change::Drop),
        4 => (any::<Index>(), prop_oneof![odd, any::<char>()]).prop_map(|(at, c)| Change::Insert(at, c)),
        1 => any::<Index>().prop_map(Change::Twice),
    ]
}

fn changed(text: &str, change: &Change) -> String {
    let at = |index: &Index| text.floor_char_boundary(index.index(text.len() + 1));
    match change {
        Change::None => text.to_owned(),
        Change::Cut(index) => text[..at(index)].to_owned(),
        Change::Drop(index) => {
            let (head, tail) = text.split_at(at(index));
            head.chars().chain(tail.chars().skip(1)).collect()
        }
        Change::Insert(index, c) => {
            let (head, tail) = text.split_at(at(index));
            format!("{head}{c}{tail}")
        }
        Change::Twice(index) => {
            let (head, tail) = text.split_at(at(index));
            format!("{head}{tail}{tail}")
        }
    }
}

fn texts() -> impl Strategy<Value = String> {
    let part = (select(TEXTS.as_slice()), change()).prop_map(|(text, change)| changed(&text, &change));
    let part = prop_oneof![5 => part, 1 => "\\PC{0,12}"];
    prop::collection::vec(part, 1..5).prop_map(|parts| parts.join(" "))
}

fn rule_files() -> impl Strategy<Value = String> {
    let part = (select(RULES.as_slice()), change()).prop_map(|(text, change)| changed(&text, &change));
    let head = select(
        &[
            "name = \"fuzz\"\nversion = \"1\"\nkind = \"pii\"\n",
            "name = \"fuzz\"\nversion = \"1\"\n",
            "",
        ][..],
    );
    (head, change(), prop::collection::vec(part, 0..3))
        .prop_map(|(head, change, parts)| changed(head, &change) + "\n" + &parts.join("\n\n"))
}

/// `PROPTEST_CASES` for a long run.
fn cases(few: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(few),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn any_rule_file_loads_or_is_refused_with_its_line(file in rule_files()) {
        fuzz::rule_file(&file);
    }
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn any_view_leads_back_to_whole_characters(text in texts()) {
        fuzz::normaliser(&text);
    }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn any_cut_gives_what_the_whole_text_gives(text in texts(), cuts in prop::collection::vec(any::<u8>(), 16)) {
        prop_assume!(text.len() < 3000);
        fuzz::stream(&[&[8][..], &cuts, text.as_bytes()].concat());
    }
}

/// What the tests above start from, as files for `cargo fuzz`: `just fuzz` names the folder in
/// `WEIR_FUZZ_CORPUS`. Each file does under its target what a fuzzer would do with it.
#[test]
fn write_the_corpus() {
    let scratch = std::env::temp_dir().join(format!("weir-fuzz-{}", std::process::id()));
    let named = std::env::var_os("WEIR_FUZZ_CORPUS").map(std::path::PathBuf::from);
    let folder = named.clone().unwrap_or_else(|| scratch.clone());
    let write = |target: &str, number: usize, bytes: &[u8]| {
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("seed-{number}")), bytes).unwrap();
    };
    for (number, rule) in RULES.iter().enumerate() {
        let file = format!("name = \"fuzz\"\nversion = \"1\"\nkind = \"pii\"\n{rule}");
        write("rule_file", number, file.as_bytes());
    }
    for (number, text) in TEXTS.iter().enumerate() {
        write("normaliser", number, text.as_bytes());
        write("stream", number, &[&[1, 9, 0], text.as_bytes()].concat());
    }
    let read = |target: &str| {
        let files = std::fs::read_dir(folder.join(target)).unwrap();
        let read: Vec<Vec<u8>> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
        assert!(read.len() >= TEXTS.len().min(RULES.len()), "{target}");
        read
    };
    read("rule_file")
        .iter()
        .for_each(|file| fuzz::rule_file(std::str::from_utf8(file).unwrap()));
    read("normaliser")
        .iter()
        .for_each(|file| fuzz::normaliser(std::str::from_utf8(file).unwrap()));
    read("stream")
        .iter()
        .filter(|file| file.len() < 500)
        .for_each(|file| fuzz::stream(file));
    if named.is_none() {
        std::fs::remove_dir_all(scratch).unwrap();
    }
}
