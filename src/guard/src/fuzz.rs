//! What fuzz targets and tests call, not part of the API: each function panics where a promise does
//! not hold for what it is given.

use std::sync::{Arc, LazyLock};

use crate::normalize::{OffsetMap, append_view, is_plain};
use crate::outcome::Release;
use crate::pack::Pack;
use crate::policy::{Policy, PolicySpec};
use crate::types::Phase;
use crate::views::{self, View};

/// Every shipped pack; the same out of steps soon, and blocking nothing when it is.
static POLICIES: LazyLock<Vec<Arc<Policy>>> = LazyLock::new(|| {
    let packs = Pack::builtin();
    let all = PolicySpec {
        packs: packs.iter().map(|pack| pack.name().to_owned()).collect(),
        ..PolicySpec::default()
    };
    let starved = PolicySpec {
        max_steps_per_byte: 2,
        on_error: crate::OnError::Pass,
        ..all.clone()
    };
    let compiled = [all, starved].map(|spec| Policy::compile(&spec, &packs).map(Arc::new));
    compiled.into_iter().flatten().collect()
});

/// A rule file is loaded, and then works, or is refused with file, line and reason.
pub fn rule_file(toml: &str) {
    let pack = match Pack::parse("fuzz.toml", toml) {
        Ok(pack) => pack,
        Err(error) => {
            assert_eq!(error.file, "fuzz.toml");
            assert!((1..=toml.lines().count() + 1).contains(&error.line), "{error}");
            assert!(!error.reason.is_empty(), "{error}");
            return;
        }
    };
    let spec = PolicySpec {
        packs: vec![pack.name().to_owned()],
        ..PolicySpec::default()
    };
    // Examples may fail; only the file's author can say whether they should.
    pack.test();
    let policy = Policy::compile(&spec, &[pack]).map(Arc::new);
    assert!(policy.is_ok(), "loads, and does not compile: {policy:?}");
    for policy in policy.iter() {
        for phase in Phase::ALL {
            same(policy, phase, toml, &[toml.len() / 3, toml.len() / 2]);
        }
    }
}

/// Views lead back to whole characters of the original, in its order, and do not outgrow it.
pub fn normaliser(text: &str) {
    first_view(text);
    for view in views::texts(text) {
        assert!(view.text.len() <= 4 * text.len() + 16);
        let in_order = !view.map.is_turned();
        let mut last = 0;
        let starts: Vec<usize> = view.text.char_indices().map(|(at, _)| at).collect();
        for (index, &start) in starts.iter().enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(view.text.len());
            let origin = view.map.origin(start, end);
            assert!(
                text.is_char_boundary(origin.start) && text.is_char_boundary(origin.end),
                "{origin:?}"
            );
            assert!(origin.start < origin.end && origin.end <= text.len(), "{origin:?}");
            if in_order && origin.how != Some(View::Reversed) {
                assert!(origin.start >= last, "{origin:?} after {last}");
                last = origin.start;
            }
        }
        for (from, to) in view.map.rewritten(100) {
            assert!(from < to && to <= view.text.len());
        }
    }
}

fn first_view(text: &str) {
    let (mut view, mut map) = (Vec::new(), OffsetMap::default());
    append_view(text, &mut view, 0, &mut map);
    assert!(!is_plain(text) || view == text.as_bytes());
    let view = std::str::from_utf8(&view).unwrap_or_default();
    assert!(view.len() <= text.len() && (text.is_empty() || !view.is_empty() || !is_plain(text)));
    let (mut last_start, mut last_end) = (0, 0);
    for (at, c) in view.char_indices() {
        let (start, end) = (map.start(at), map.end(at + c.len_utf8()));
        assert!(
            text.is_char_boundary(start) && text.is_char_boundary(end),
            "{start} {end}"
        );
        assert!(start >= last_start && end >= last_end && start < end && end <= text.len());
        (last_start, last_end) = (start, end);
    }
    // A view in pieces is the view of the whole.
    let cut = text.floor_char_boundary(text.len() / 2);
    let (mut pieces, mut map) = (Vec::new(), OffsetMap::default());
    append_view(&text[..cut], &mut pieces, 0, &mut map);
    append_view(&text[cut..], &mut pieces, 0, &mut map);
    assert_eq!(pieces, view.as_bytes());
}

/// A stream gives what the whole text gives. `data`: how many cuts, two bytes for each, the text.
pub fn stream(data: &[u8]) {
    let Some((&count, rest)) = data.split_first() else {
        return;
    };
    let (cuts, text) = rest.split_at(rest.len().min(usize::from(count % 9) * 2));
    let text = String::from_utf8_lossy(text);
    let cuts: Vec<usize> = cuts
        .chunks_exact(2)
        .map(|pair| usize::from(u16::from_le_bytes([pair[0], pair[1]])))
        .collect();
    for policy in POLICIES.iter() {
        for phase in Phase::ALL {
            same(policy, phase, &text, &cuts);
        }
    }
}

/// The whole text, the text cut at `cuts`, and character by character.
fn same(policy: &Arc<Policy>, phase: Phase, text: &str, cuts: &[usize]) {
    let outcome = policy.scan(phase, text);
    for verdict in &outcome.verdicts {
        assert!(
            verdict.start <= verdict.end && text.get(verdict.start..verdict.end).is_some(),
            "{verdict:?}"
        );
    }
    let whole = outcome.release(text);
    let mut borders: Vec<usize> = cuts
        .iter()
        .map(|cut| text.floor_char_boundary(cut % (text.len() + 1)))
        .collect();
    borders.sort_unstable();
    assert_eq!(
        released(policy, phase, text, &borders),
        whole,
        "{phase}, cut at {borders:?}: {text:?}"
    );
    if text.len() <= 512 {
        let each: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        assert_eq!(
            released(policy, phase, text, &each),
            whole,
            "{phase}, by characters: {text:?}"
        );
    }
}

fn released(policy: &Arc<Policy>, phase: Phase, text: &str, cuts: &[usize]) -> Release {
    let mut scanner = policy.scanner(phase);
    let mut all = Release::default();
    let mut add = |release: Release| {
        all.text.push_str(&release.text);
        all.verdicts.extend(release.verdicts);
        all.blocked |= release.blocked;
        all.errors += release.errors;
    };
    let mut from = 0;
    for &cut in cuts.iter().chain([&text.len()]) {
        add(scanner.push(&text[from..cut]));
        from = cut;
    }
    add(scanner.finish());
    assert_eq!(scanner.held(), 0);
    all
}
