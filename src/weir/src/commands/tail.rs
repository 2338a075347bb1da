//! `weir tail`: live calls, folded from the journal as they end.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::process::ExitCode;
use std::time::Duration;

use event::{Applied, Call, CallId, Status};
use journal::{ReadError, Reader};

use super::data_folder;
use crate::args::TailArgs;
use crate::error::Failure;
use crate::out::{complain, is_coloured, say};
use crate::runtime::journal_folder;

/// How often the journal is looked at.
const POLL: Duration = Duration::from_millis(50);
const READ_BYTES: usize = 4 << 20;

/// Runs the command.
pub fn run(args: &TailArgs) -> Result<ExitCode, Failure> {
    let folder = journal_folder(&data_folder(&args.place)?);
    let mut reader = journal::tool::from_first(&folder).map_err(Failure::other)?;
    let begins = reader.position();
    let mut folds = Folds::default();
    let mut last: VecDeque<Call> = VecDeque::new();
    let coloured = is_coloured();
    while let Some(ended) = next(&mut reader, &mut folds)? {
        for call in ended.into_iter().filter(|call| fits(args, call)) {
            if last.len() == args.last {
                last.pop_front();
            }
            if args.last > 0 {
                last.push_back(call);
            }
        }
    }
    if last.len() < args.last && begins > 0 {
        complain(&format!(
            "the journal begins at offset {begins} by now: older calls are in the tables, such as `weir sql \"select * from recent_calls({})\"`",
            args.last
        ));
    }
    for call in &last {
        show(args, call, coloured)?;
    }
    if args.no_follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        match next(&mut reader, &mut folds)? {
            Some(ended) => {
                for call in ended.iter().filter(|call| fits(args, call)) {
                    show(args, call, coloured)?;
                }
            }
            None => std::thread::sleep(POLL),
        }
    }
}

/// Calls that have begun and not ended.
#[derive(Default)]
struct Folds(HashMap<CallId, Call>);

/// The calls that ended in the next batch; `None` if there is nothing new.
fn next(reader: &mut Reader, folds: &mut Folds) -> Result<Option<Vec<Call>>, Failure> {
    let before = reader.position();
    let records = match reader.next_batch(READ_BYTES) {
        Ok(records) => records,
        Err(ReadError::Corrupt(hole)) => {
            complain(&hole.to_string());
            return Ok(Some(Vec::new()));
        }
        Err(error) if reader.position() > before => {
            complain(&error.to_string());
            return Ok(Some(Vec::new()));
        }
        Err(error) => return Err(Failure::other(error)),
    };
    if records.is_empty() {
        return Ok(None);
    }
    let mut ended = Vec::new();
    for record in records {
        let Some(call_id) = record.envelope.call_id else {
            continue;
        };
        let Ok(event) = record.decode() else { continue };
        // What follows a call's end, such as a score, must not begin it anew.
        let begins = matches!(event.body, event::Body::CallStarted(_));
        let call = match folds.0.entry(call_id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) if begins => entry.insert(Call::default()),
            Entry::Vacant(_) => continue,
        };
        if call.apply(&event) == Applied::Yes && call.is_ended() {
            ended.extend(folds.0.remove(&call_id));
        }
    }
    Ok(Some(ended))
}

fn fits(args: &TailArgs, call: &Call) -> bool {
    let same = |wanted: &Option<String>, have: Option<&str>| wanted.as_deref().is_none_or(|w| have == Some(w));
    same(&args.model, call.started.request_model.as_deref())
        && args.status.is_none_or(|wanted| Status::from(wanted) == call.status)
        && same(&args.app, call.app.as_deref())
}

fn show(args: &TailArgs, call: &Call, coloured: bool) -> Result<(), Failure> {
    Ok(say(&if args.json {
        machine_line(call)
    } else {
        line(call, coloured)
    })?)
}

fn machine_line(call: &Call) -> String {
    // JSON escapes most of what steers a terminal, and these may be escaped.
    (json(call).to_string().chars()).fold(String::new(), |mut out, c| {
        match steers(c) {
            true => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => out.push(c),
        }
        out
    })
}

/// Recorded text is somebody else's: on a terminal it may not do more than stand there.
fn clean(text: &str) -> String {
    let shown = |c| if steers(c) { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// Control characters, and marks that turn the direction of what follows.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// `12:03:04.125 completed  chat gpt-4o-mini  openai  182ms ttft 40ms  31+204 tok  $0.000127  shop`
fn line(call: &Call, coloured: bool) -> String {
    let colour = match call.status {
        _ if !coloured => "",
        Status::Completed => "\x1b[32m",
        Status::Blocked => "\x1b[35m",
        Status::Cancelled | Status::Interrupted => "\x1b[33m",
        Status::Failed | Status::Open => "\x1b[31m",
    };
    let reset = if colour.is_empty() { "" } else { "\x1b[0m" };
    let mut out = format!(
        "{} {colour}{:<11}{reset}",
        clock(call.started_unix_nano),
        call.status.as_str()
    );
    let operation = call.started.operation.as_deref().unwrap_or(&call.started.endpoint);
    let stream = if call.started.stream { "~" } else { "" };
    let mut add = |part: String| {
        out.push(' ');
        out.push_str(&clean(&part));
    };
    add(format!(
        "{:<26}",
        format!(
            "{operation}{stream} {}",
            call.started.request_model.as_deref().unwrap_or("-")
        )
    ));
    add(format!("{:<9}", call.provider.as_deref().unwrap_or("-")));
    add(format!(
        "{:>8}",
        call.duration_ns().map_or_else(|| "-".to_owned(), milliseconds)
    ));
    if let Some(ttft) = call.ttft_ns.filter(|_| call.started.stream) {
        add(format!("ttft {}", milliseconds(ttft)));
    }
    let usage = call.usage();
    if !usage.is_unknown() {
        let count = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let sign = if call.usage_source() == Some(event::UsageSource::Estimated) {
            "≈"
        } else {
            ""
        };
        add(format!(
            "{sign}{}+{} tok",
            count(usage.input_total()),
            count(usage.output_total())
        ));
    }
    if let Some(cost) = call.cost() {
        add(cost.to_string());
    }
    if let Some(action) = &call.guardrail_action {
        add(format!("[{action}: {}]", call.guardrail_rules.join(", ")));
    }
    if let Some(code) = &call.ended.error_code {
        add(code.clone());
    }
    for part in [&call.app, &call.started.user_id].into_iter().flatten() {
        add(part.clone());
    }
    out
}

fn json(call: &Call) -> serde_json::Value {
    let usage = call.usage();
    serde_json::json!({
        "call_id": call.call_id,
        "status": call.status,
        "started_unix_nano": call.started_unix_nano,
        "ended_unix_nano": call.ended_unix_nano,
        "endpoint": call.started.endpoint,
        "operation": call.started.operation,
        "stream": call.started.stream,
        "request_model": call.started.request_model,
        "response_model": call.ended.response_model,
        "provider": call.provider,
        "http_status": call.ended.http_status,
        "error_code": call.ended.error_code,
        "finish_reasons": call.ended.finish_reasons,
        "duration_ns": call.duration_ns(),
        "ttft_ns": call.ttft_ns,
        "input_tokens": usage.input,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "output_tokens": usage.output,
        "reasoning_tokens": usage.reasoning,
        "usage_source": call.usage_source(),
        "cost_nano_usd": call.cost(),
        "guardrail_action": call.guardrail_action,
        "guardrail_rules": call.guardrail_rules,
        "attempts": call.attempts,
        "tenant": call.tenant,
        "app": call.app,
        "session_id": call.started.session_id,
        "user_id": call.started.user_id,
        "tags": call.started.tags,
        "trace_id": call.trace_id,
        "request_text": call.request_text(),
        "response_text": call.response_text(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn milliseconds(ns: u64) -> String {
    let ms = ns as f64 / 1e6;
    if ms < 10.0 {
        format!("{ms:.1}ms")
    } else if ms < 10_000.0 {
        format!("{ms:.0}ms")
    } else {
        format!("{:.1}s", ms / 1e3)
    }
}

/// Time of day in UTC.
fn clock(unix_nano: Option<i64>) -> String {
    let Some(ns) = unix_nano else {
        return "--:--:--.---".to_owned();
    };
    let ms = ns.div_euclid(1_000_000).rem_euclid(86_400_000);
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1000 % 60,
        ms % 1000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(
            clock(Some(1_000_000_000 * (12 * 3600 + 3 * 60 + 4) + 125_000_000)),
            "12:03:04.125"
        );
        assert_eq!(milliseconds(1_234_567), "1.2ms");
        assert_eq!(milliseconds(182_000_000), "182ms");
        assert_eq!(milliseconds(12_340_000_000), "12.3s");
    }
    #[test]
    fn recorded_text_does_not_steer_the_terminal() {
        let evil = || "a\u{1b}]0;b\u{7}\u{9b}2J\nc\u{202e}".to_owned();
        let mut call = Call {
            status: Status::Failed,
            provider: Some(evil()),
            app: Some(evil()),
            guardrail_action: Some(evil()),
            guardrail_rules: vec![evil()],
            ..Call::default()
        };
        call.started.operation = Some(evil());
        call.started.request_model = Some(evil());
        call.started.user_id = Some(evil());
        call.ended.error_code = Some(evil());
        let harmless = |text: &str| !text.chars().any(|c| c.is_control() || c == '\u{202e}');
        let shown = line(&call, false);
        assert!(harmless(&shown), "{shown:?}");
        assert_eq!(shown.matches("a\u{fffd}]0;b").count(), 8, "{shown}");
        let shown = machine_line(&call);
        assert!(harmless(&shown), "{shown:?}");
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read["app"], evil());
    }
}
