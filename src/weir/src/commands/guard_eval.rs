//! `weir guard eval`: how good the guardrails are on labelled texts.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use guard::eval::{Evaluation, Judged, Row, VerdictLine, replace_lone_surrogates};
use guard::{Pack, Policy, PolicySpec};
use serde::Deserialize;

use super::guard_figures;
use crate::args::GuardEvalArgs;
use crate::error::Failure;
use crate::out::say;

/// Runs the command.
pub fn run(args: &GuardEvalArgs) -> Result<ExitCode, Failure> {
    let packs = Pack::builtin();
    let every = || packs.iter().map(|pack| pack.name().to_owned());
    let spec = match &args.policy {
        None => PolicySpec {
            packs: every().collect(),
            ..PolicySpec::default()
        },
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|e| wrong(file, &e))?;
            let mut spec: PolicySpec = toml::from_str(&text).map_err(|e| wrong(file, &e))?;
            if args.all {
                spec.packs.extend(every());
            }
            spec
        }
    };
    let policy = Policy::compile(&spec, &packs).map_err(|e| Failure::Usage(e.to_string()))?;
    let mut evaluation = Evaluation::new(&policy, args.phase.map(Into::into));
    let mut verdicts = match &args.verdicts {
        None => None,
        Some(out) => Some(BufWriter::new(File::create(out).map_err(|e| wrong(out, &e))?)),
    };
    let found = args.from.as_deref().map(read).transpose()?;
    let mut found = found.as_deref().map(|text| text.lines().enumerate());
    for path in &args.files {
        let file = path.display().to_string();
        for (number, line) in read(path)?.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let row = parse(line).map_err(|e| wrong(format!("{file}:{}", number + 1), &e))?;
            if let (Some(found), Some(from)) = (&mut found, &args.from) {
                evaluation.count(&row, &foreign(found.next(), from, number)?);
                continue;
            }
            let judged = evaluation.take(&row);
            if let Some(out) = &mut verdicts {
                let line = VerdictLine {
                    file: &file,
                    row: number,
                    judged: &judged,
                };
                serde_json::to_writer(&mut *out, &line).map_err(Failure::other)?;
                out.write_all(b"\n")?;
            }
        }
    }
    if let Some(mut out) = verdicts {
        out.flush()?;
    }
    let report = evaluation.finish();
    if args.json {
        say(&serde_json::to_string_pretty(&report).map_err(Failure::other)?)?;
    } else {
        guard_figures::show(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The next line of another tool's findings, which must be that of row `row`.
fn foreign(line: Option<(usize, &str)>, from: &Path, row: usize) -> Result<Judged, Failure> {
    #[derive(Deserialize)]
    struct Line {
        row: usize,
        #[serde(flatten)]
        judged: Judged,
    }
    let Some((at, line)) = line else {
        return Err(wrong(from, &"ends before the rows do"));
    };
    let place = || format!("{}:{}", from.display(), at + 1);
    let line: Line = serde_json::from_str(line).map_err(|e| wrong(place(), &e))?;
    if line.row != row {
        return Err(wrong(
            place(),
            &format!("is of row {}, and row {row} comes next", line.row),
        ));
    }
    Ok(line.judged.of_another_tool())
}

fn wrong(place: impl AsRef<Path>, error: &dyn std::fmt::Display) -> Failure {
    Failure::Usage(format!("{}: {error}", place.as_ref().display()))
}

fn parse(line: &str) -> Result<Row, serde_json::Error> {
    serde_json::from_str(line).or_else(|error| match replace_lone_surrogates(line) {
        Some(line) => serde_json::from_str(&line),
        None => Err(error),
    })
}

fn read(file: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(file).map_err(|e| wrong(file, &e))?;
    // By the first bytes, not the name.
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return String::from_utf8(bytes).map_err(|e| wrong(file, &e));
    }
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&bytes[..])
        .read_to_string(&mut text)
        .map_err(|e| wrong(file, &e))?;
    Ok(text)
}
