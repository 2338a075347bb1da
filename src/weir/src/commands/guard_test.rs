//! `weir guard test`: every rule on its own examples, and on the dearest text that can be made for it.

use std::path::PathBuf;
use std::process::ExitCode;

use guard::cost::SLOW;
use guard::explain::{Fate, Trace, explain_example};
use guard::{ExampleFailure, Kind, Pack, Rule};
use serde::Serialize;

use super::guard::coloured;
use super::guard_text::printable;
use crate::error::Failure;
use crate::out::say;

/// What became of one pack.
#[derive(Serialize)]
struct Tested {
    pack: String,
    version: String,
    /// `None` for a built-in pack.
    file: Option<String>,
    rules: usize,
    examples: usize,
    /// Of an imported file: what could not be taken over as it is.
    left_out: Vec<String>,
    failures: Vec<Failed>,
}

/// A rule that does not do what its pack says, or does it too slowly.
#[derive(Serialize)]
struct Failed {
    rule: String,
    /// Where the file says it; `None` for a built-in pack.
    line: Option<usize>,
    /// Secrets are masked.
    example: Option<String>,
    what: String,
}

/// Runs the command.
pub fn run(files: &[PathBuf], json: bool) -> Result<ExitCode, Failure> {
    let mut tested = Vec::new();
    if files.is_empty() {
        tested.extend(Pack::builtin().iter().map(|pack| test(pack, None)));
    }
    for path in files {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| Failure::Usage(format!("cannot read {file}: {e}")))?;
        let pack = Pack::parse(&file, &text).map_err(|e| Failure::Usage(e.to_string()))?;
        tested.push(test(&pack, Some((&file, &text))));
    }
    if json {
        say(&serde_json::to_string_pretty(&tested).map_err(Failure::other)?)?;
    } else {
        tested.iter().try_for_each(show)?;
    }
    Ok(match tested.iter().all(|t| t.failures.is_empty()) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn test(pack: &Pack, source: Option<(&str, &str)>) -> Tested {
    let text = source.map(|(_, text)| text);
    let mut failures: Vec<Failed> = pack.test().iter().map(|f| example(pack, f, text)).collect();
    failures.extend(pack.rules().filter_map(|rule| slow(rule, text)));
    let (rules, examples) = pack.counts();
    Tested {
        pack: pack.name().to_owned(),
        version: pack.version().to_owned(),
        file: source.map(|(file, _)| file.to_owned()),
        rules,
        examples,
        left_out: pack.warnings().iter().map(ToString::to_string).collect(),
        failures,
    }
}

fn example(pack: &Pack, failure: &ExampleFailure, text: Option<&str>) -> Failed {
    let trace = explain_example(pack, failure);
    let what = if failure.expected_match {
        match &trace {
            Some(trace) => format!("should match, and does not: {}", stopped(trace)),
            None => "should match, and does not: nothing in it wakes the rule".to_owned(),
        }
    } else {
        let matched = trace.as_ref().and_then(matched);
        matched.map_or_else(
            || "should not match, and does".to_owned(),
            |text| format!("should not match, and does: `{text}`"),
        )
    };
    let secret = pack.rules().any(|r| r.id() == failure.rule && r.kind() == Kind::Secret);
    Failed {
        line: text.map(|text| line_of(text, &failure.rule, Some(&failure.example))),
        rule: failure.rule.clone(),
        example: Some(shown(&failure.example, secret)),
        what,
    }
}

fn slow(rule: &Rule, text: Option<&str>) -> Option<Failed> {
    let cost = rule.worst_cost();
    (cost.steps_per_byte > SLOW).then(|| {
        let unit: String = cost.unit.chars().take(40).collect();
        Failed {
            rule: rule.id().to_owned(),
            line: text.map(|text| line_of(text, rule.id(), None)),
            example: None,
            what: format!(
                "too slow: {:.0} steps a byte on a text that repeats `{}`, the limit is {SLOW:.0}: begin the expression \
                 with a rarer literal, or bound its repetitions more tightly",
                cost.steps_per_byte,
                shown(&unit, rule.kind() == Kind::Secret)
            ),
        }
    })
}

/// What stopped the rule where it came furthest.
fn stopped(trace: &Trace) -> String {
    match trace.trials.first().map(|t| &t.fate) {
        Some(Fate::Refused { by }) => format!("refused by {by}"),
        Some(Fate::BelowThreshold { threshold }) => {
            let score = trace.trials.first().and_then(|t| t.score).map_or(0.0, |s| s.total);
            format!("its score is {score:.2}, and {threshold:.2} is asked for")
        }
        Some(Fate::NoMatch { bytes }) => format!("the expression goes along for {bytes} bytes and no further"),
        _ => "it matches in another place".to_owned(),
    }
}

fn matched(trace: &Trace) -> Option<String> {
    let trial = trace.trials.iter().find(|t| matches!(t.fate, Fate::Verdict { .. }))?;
    Some(shown(&trial.matched, trace.kind == Kind::Secret))
}

/// A text for the terminal; of what may be a key, only the beginning.
fn shown(text: &str, secret: bool) -> String {
    let text = printable(text);
    if !secret {
        return text;
    }
    let is_key = |c: char| c.is_ascii_alphanumeric() || "_-+/=.".contains(c);
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find(is_key) {
        let length = rest[start..].find(|c| !is_key(c)).unwrap_or(rest.len() - start);
        let (word, tail) = (&rest[start..start + length], &rest[start + length..]);
        out.push_str(&rest[..start]);
        if length >= 16 && !out.ends_with("{{") {
            out.push_str(&format!("{}…({length} characters)", &word[..4]));
        } else {
            out.push_str(word);
        }
        rest = tail;
    }
    out + rest
}

/// The line on which a rule says an example, or its id if that is not found.
fn line_of(text: &str, rule: &str, example: Option<&str>) -> usize {
    let id = rule.split_once('.').map_or(rule, |(_, id)| id);
    let line_at = |at: usize| 1 + text[..at].bytes().filter(|b| *b == b'\n').count();
    let is_id = |line: &str| {
        line.trim_start()
            .strip_prefix("id")
            .and_then(|rest| rest.trim_start().strip_prefix('='))
            .is_some_and(|value| value.trim().trim_matches(['"', '\'']) == id)
    };
    let mut at = 0;
    let id_at = text.split_inclusive('\n').find_map(|line| {
        at += line.len();
        is_id(line.trim_end()).then(|| at - line.len())
    });
    let Some(id_at) = id_at else { return 1 };
    let rule_text = &text[id_at..];
    let rule_text = &rule_text[..rule_text.find("\n[[").unwrap_or(rule_text.len())];
    let found = example.and_then(|example| {
        let escaped = example.replace('\\', "\\\\").replace('"', "\\\"");
        let first = example.lines().next().unwrap_or(example);
        // Not in the expression: behind `examples`.
        let from = rule_text.find("examples").map_or(0, |at| at + "examples".len());
        let find = |e: &&str| rule_text[from..].find(*e).map(|at| from + at);
        [example, &escaped, first].iter().find_map(find)
    });
    line_at(id_at + found.unwrap_or(0))
}

fn show(tested: &Tested) -> Result<(), Failure> {
    let Tested {
        pack,
        version,
        file,
        rules,
        examples,
        left_out,
        failures,
    } = tested;
    let from = file.as_ref().map_or_else(String::new, |file| format!(" ({file})"));
    let state = match failures.len() {
        0 => coloured(32, "ok"),
        failed => coloured(31, &format!("{failed} FAILED")),
    };
    say(&format!(
        "{pack}@{version}{from}: {rules} rules, {examples} examples, {state}"
    ))?;
    // Some rules are left out, others kept with a difference: each says which.
    for what in left_out {
        say(&format!("    warning: {what}"))?;
    }
    for failed in failures {
        let Failed {
            rule,
            line,
            example,
            what,
        } = failed;
        let place = match (file, line) {
            (Some(file), Some(line)) => format!("{file}:{line}: "),
            _ => String::new(),
        };
        say(&format!("  {place}{rule}: {what}"))?;
        if let Some(example) = example {
            say(&format!("      {}", coloured(1, example)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_masked_and_templates_are_not() {
        let key = "a1B2c3D4e5F6g7H8i9J0";
        assert_eq!(shown(&format!("key: {key}!"), true), "key: a1B2…(20 characters)!");
        assert_eq!(shown("ghp_{{alnum:36}} is short", true), "ghp_{{alnum:36}} is short");
        assert_eq!(shown(key, false), key);
    }

    #[test]
    fn a_failure_names_the_line_of_its_example() {
        let pack = "name = 't'\n[[rule]]\nid = \"a\"\nregex = 'x'\n[rule.examples]\npositive = [\n  \"x\",\n  \"say \\\"y\\\"\",\n]\n\
                    [[rule]]\nid = 'b'\n[rule.examples]\nnegative = ['x']\n";
        assert_eq!(line_of(pack, "t.a", Some("x")), 7);
        assert_eq!(line_of(pack, "t.a", Some("say \"y\"")), 8);
        assert_eq!(line_of(pack, "t.b", Some("x")), 13);
        assert_eq!(line_of(pack, "t.b", Some("nowhere")), 11);
        assert_eq!(line_of(pack, "t.c", None), 1);
    }
}
