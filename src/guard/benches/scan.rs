//! What the guard costs: µs per 2 KiB of whole text and per 5-byte chunk of a stream, how much a
//! stream holds back, how long a policy takes to compile; and, in the same run, what a plain
//! Aho-Corasick pass and one regex search a rule cost.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use aho_corasick::AhoCorasick;
use guard::model::Model;
use guard::{Pack, Phase, Policy, PolicySpec};
use regex_automata::meta::Regex;

const ENGLISH: &str = "The quick brown fox jumps over the lazy dog, and then writes a report about it. \
    In 2019 the team shipped 14 releases; customers asked for better search, faster pages and clear prices. \
    You are right that the first version was slow: it took 3.5 seconds to load the start page. \
    Here is a function that sorts a list:\n\n```python\ndef sort(items):\n    return sorted(items, key=lambda i: i.name)\n```\n\n\
    Let me know if you would like me to explain the previous steps again, or see https://example.com/docs/page-4 for more. ";
const CHINESE: &str = "今天天气很好，我们一起去公园散步吧。公司在2019年发布了14个版本，客户希望搜索更快、页面更清晰、价格更透明。\
    这个函数可以对列表进行排序，如果你需要更详细的解释，请告诉我。第一页的加载时间是3.5秒，我们正在改进。";
const JAPANESE: &str = "本日はお忙しい中ありがとうございます。2019年に14回のリリースを行い、検索の改善と価格の明確化に取り組みました。\
    次の関数はリストを並べ替えます。詳しい説明が必要でしたらお知らせください。最初のページの表示には3.5秒かかっていました。";
const RUSSIAN: &str = "Сегодня хорошая погода, и мы вместе пойдём гулять в парк. В 2019 году команда выпустила 14 версий; \
    клиенты просили улучшить поиск, ускорить страницы и сделать цены понятнее. Если нужно более подробное объяснение, напишите мне. ";
const FRENCH: &str = "Aujourd'hui il fait très beau et nous irons nous promener ensemble au parc. En 2019, l'équipe a publié \
    14 versions ; les clients ont demandé une recherche améliorée, des pages plus rapides et des prix où tout est clair. ";
const CODE: &str = "pub fn parse_header(bytes: &[u8], max_len: usize) -> Result<Header, ParseError> {\n    \
    let (name, rest) = bytes.split_at(bytes.iter().position(|b| *b == b':').ok_or(ParseError::NoColon)?);\n    \
    if name.len() > max_len || name.iter().any(|b| !b.is_ascii_graphic()) {\n        return Err(ParseError::Name(name.len()));\n    }\n    \
    let value = std::str::from_utf8(&rest[1..])?.trim();\n    Ok(Header { name: name.to_ascii_lowercase(), value: value.to_owned(), x: 0, y: 1 })\n}\n";
const DENSE: &str = "mail jane.doe@example.com or call +1 212 555 0147, card 4111 1111 1111 1111, from 10.1.2.3; order 123456789, \
    ref 2024-11-22T10:11:12Z, id 550e8400-e29b-41d4-a716-446655440000, total 1,234.56, lot 88 77 66 55 44 33. ";

/// The packs whose regexes are compared with.
const FILES: [&str; 3] = [
    include_str!("../packs/pii.toml"),
    include_str!("../packs/secrets.toml"),
    include_str!("../packs/injection.toml"),
];

fn text(seed: &str) -> String {
    let mut text = seed.repeat(2048 / seed.len() + 1);
    text.truncate(text.floor_char_boundary(2048));
    text
}

/// Median µs of `run` over enough rounds.
fn micros(mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..2000)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn chunks(text: &str, size: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut at = rest.floor_char_boundary(size);
        if at == 0 {
            at = rest.chars().next().map_or(1, char::len_utf8);
        }
        let (piece, tail) = rest.split_at(at);
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

fn main() {
    let start = Instant::now();
    let packs = Pack::builtin();
    let parse = start.elapsed().as_secs_f64() * 1e3;
    let start = Instant::now();
    let policy = Arc::new(Policy::compile(&PolicySpec::default(), &packs).unwrap());
    let compile = start.elapsed().as_secs_f64() * 1e3;
    let plain = Policy::compile(
        &PolicySpec {
            views: false,
            ..PolicySpec::default()
        },
        &packs,
    )
    .unwrap();
    println!(
        "rules            {} input, {} output",
        policy.rule_count(Phase::Input),
        policy.rule_count(Phase::Output)
    );
    println!("parse packs      {parse:.1} ms (automata built here, once a process)");
    println!("compile policy   {compile:.2} ms");
    println!("memory           {:.0} KiB", policy.memory() as f64 / 1024.0);

    println!(
        "\nµs per 2 KiB        whole:input      no views  whole:output   chunk of 5 B   chunk of 20 B    hold mean  hold p99 (bytes)"
    );
    for (name, seed) in [
        ("English", ENGLISH),
        ("Chinese", CHINESE),
        ("Japanese", JAPANESE),
        ("Russian", RUSSIAN),
        ("French", FRENCH),
        ("code", CODE),
        ("numbers, PII", DENSE),
    ] {
        let text = text(seed);
        let whole = [
            (&*policy, Phase::Input),
            (&plain, Phase::Input),
            (&*policy, Phase::Output),
        ]
        .map(|(policy, phase)| {
            micros(|| {
                black_box(policy.scan(phase, black_box(&text)));
            })
        });
        let streamed = [5, 20].map(|size| {
            let pieces = chunks(&text, size);
            let all = micros(|| {
                let mut scanner = policy.scanner(Phase::Output);
                for piece in &pieces {
                    black_box(scanner.push(piece));
                }
                black_box(scanner.finish());
            });
            all / pieces.len() as f64
        });
        let mut scanner = policy.scanner(Phase::Output);
        let mut held: Vec<usize> = chunks(&text, 5)
            .iter()
            .map(|piece| {
                scanner.push(piece);
                scanner.held()
            })
            .collect();
        held.sort_unstable();
        let mean = held.iter().sum::<usize>() as f64 / held.len() as f64;
        println!(
            "{name:16} {:14.1} {:13.1} {:13.1} {:11.3} µs {:12.3} µs {mean:12.1} {:9}",
            whole[0],
            whole[1],
            whole[2],
            streamed[0],
            streamed[1],
            held[held.len() * 99 / 100]
        );
    }

    println!("\nthe classifier alone, µs per 2 KiB, another text each time");
    let model = Model::injection().unwrap();
    for (name, seed) in [("English", ENGLISH), ("Chinese", CHINESE), ("numbers, PII", DENSE)] {
        // Words in other orders: the processor must not learn the branches of one text.
        let words: Vec<&str> = seed.split_inclusive([' ', '，']).collect();
        let texts: Vec<String> = (1..200)
            .map(|i| {
                text(
                    &(0..600)
                        .map(|j| words[(j * j * i + j * 7) % words.len()])
                        .collect::<String>(),
                )
            })
            .collect();
        let mut next = texts.iter().cycle();
        println!(
            "{name:16} {:14.1}",
            micros(|| {
                black_box(model.judge(black_box(next.next().unwrap())));
            })
        );
    }

    // As many more rules as a full set of packs would bring.
    let mut many = String::from("name = \"many\"\nversion = \"1\"\nkind = \"secret\"\naction = \"redact\"\n");
    for i in 0..400 {
        let (a, b) = (
            char::from(b'a' + (i % 26) as u8),
            char::from(b'a' + (i / 26 % 26) as u8),
        );
        many.push_str(&format!(
            "[[rule]]\nid = \"r{i}\"\nentity = \"E\"\nregex = '\\b{a}{b}k{}_[a-z0-9]{{20,40}}\\b'\n",
            i % 7
        ));
    }
    let start = Instant::now();
    let mut more = packs.clone();
    more.push(Pack::parse("many", &many).unwrap());
    let names: Vec<String> = more.iter().map(|p| p.name().to_owned()).collect();
    let large = Policy::compile(
        &PolicySpec {
            packs: names,
            ..PolicySpec::default()
        },
        &more,
    )
    .unwrap();
    let seen = text(ENGLISH);
    println!(
        "\nwith 400 key rules more: compile {:.1} ms, {:.0} KiB, {:.1} µs per 2 KiB of English input",
        start.elapsed().as_secs_f64() * 1e3,
        large.memory() as f64 / 1024.0,
        micros(|| {
            black_box(large.scan(Phase::Input, black_box(&seen)));
        })
    );

    let text = text(ENGLISH);
    // A literal or two for each rule: the first bytes of what it must find.
    let words: Vec<String> = packs
        .iter()
        .flat_map(Pack::rules)
        .flat_map(|r| r.examples().0.into_iter().take(2))
        .map(|e| e.chars().take(6).collect())
        .collect();
    let plain = AhoCorasick::builder()
        .prefilter(false)
        .ascii_case_insensitive(true)
        .build(&words)
        .unwrap();
    let regexes: Vec<Regex> = FILES
        .iter()
        .flat_map(|text| sources(text))
        .filter_map(|r| Regex::new(&r).ok())
        .collect();
    println!("\ncompared, µs per 2 KiB of English");
    println!(
        "bare Aho-Corasick, {} literals     {:8.1}",
        words.len(),
        micros(|| {
            black_box(plain.find_overlapping_iter(black_box(text.as_str())).count());
        })
    );
    println!(
        "one regex search a rule, {} regexes {:8.1}",
        regexes.len(),
        micros(|| {
            for regex in &regexes {
                black_box(regex.find(black_box(text.as_str())));
            }
        })
    );

    let big = text.repeat(512);
    let start = Instant::now();
    black_box(policy.scan(Phase::Output, &big));
    println!(
        "\n1 MiB of English, whole: {:.1} ms",
        start.elapsed().as_secs_f64() * 1e3
    );
    for run in ["7", "a", "1.", "a.", "1-1 ", "\u{200B}"] {
        let long = run.repeat((1 << 20) / run.len());
        let start = Instant::now();
        let errors = policy.scan(Phase::Output, &long).errors;
        println!(
            "1 MiB of {run:?}: {:.1} ms, {errors} errors",
            start.elapsed().as_secs_f64() * 1e3
        );
    }
}

/// The regexes of a pack, as they are written.
fn sources(pack: &str) -> Vec<String> {
    let quoted = |line: &str| {
        let line = line.trim().trim_end_matches(',');
        let line = line.strip_prefix("regex = ").unwrap_or(line);
        line.strip_prefix('\'')?
            .strip_suffix('\'')
            .map(|l| l.trim_matches('\'').replace(' ', r"\s+"))
    };
    pack.lines()
        .filter_map(quoted)
        .map(|r| format!("(?i){}", r.replace(r"\b", r"(?-u:\b)").replace(r"\d", "[0-9]")))
        .collect()
}
