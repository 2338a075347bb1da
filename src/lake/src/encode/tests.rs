use arrow::array::Array as _;
use event::{CallId, Chain, Digest, Envelope, EventId, JournalId, Json, Record};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::decode::EventRows;
use crate::fold::Fold;

fn maybe_text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(".{0,40}")
}

fn record() -> impl Strategy<Value = Record> {
    let ids = (any::<u128>(), any::<u128>(), proptest::option::of(any::<u128>()));
    let numbers = (any::<u16>(), any::<u32>(), any::<i64>(), any::<i64>());
    let texts = (maybe_text(), maybe_text(), maybe_text(), maybe_text());
    (ids, numbers, texts, ".{0,20}", ".{0,400}", any::<[u8; 32]>()).prop_map(
        |((journal, event, call), (v, seq, time, offset), (tenant, app, trace, span), event_type, body, chain)| {
            Record {
                envelope: Envelope {
                    v,
                    event_id: EventId(Uuid::from_u128(event)),
                    event_type,
                    call_id: call.map(|id| CallId(Uuid::from_u128(id))),
                    seq,
                    time_unix_nano: time,
                    tenant,
                    app,
                    trace_id: trace,
                    span_id: span,
                    journal_id: JournalId(Uuid::from_u128(journal)),
                    offset,
                    chain: Chain(chain),
                },
                // Spaces that nobody would write: the body's bytes must come back as they were.
                body: Json::parse(format!(" {{ \"t\" :{}}}", serde_json::to_string(&body).unwrap())).unwrap(),
            }
        },
    )
}

proptest! {
    #[test]
    fn a_row_rebuilds_its_record(records in proptest::collection::vec((record(), any::<Option<[u8; 20]>>()), 1..20)) {
        let (mut builder, mut arena) = (EventsBuilder::new(0), Arena::new());
        for (record, raw) in &records {
            let record = record.clone();
            let item = match raw {
                Some(raw) => Item::Verbatim { record, raw: raw.to_vec() },
                None => Item::Record(record),
            };
            builder.append(&mut arena, &item);
        }
        let batch = builder.finish(&arena.finish()).unwrap();
        let rows = EventRows::of(&batch).unwrap();
        for (i, (record, raw)) in records.iter().enumerate() {
            let item = rows.item(i).unwrap();
            prop_assert_eq!(item.record(), Some(record));
            match item {
                Item::Verbatim { raw: found, .. } => prop_assert_eq!(Some(&found[..]), raw.as_ref().map(|raw| &raw[..])),
                _ => prop_assert!(raw.is_none()),
            }
        }
    }

    /// Wherever the seal is looked for, it is found in sealed bytes, and the chain agrees.
    #[test]
    fn a_seal_is_found(record in record()) {
        let digest = Digest::of(&record.canonical().unwrap());
        let chain = Chain::START.next(record.envelope.journal_id, record.envelope.offset, &digest);
        let mut record = record;
        record.envelope.chain = chain;
        let bytes = record.to_bytes().unwrap();
        let (draft, found) = seal(&bytes).unwrap();
        prop_assert_eq!(found, chain);
        prop_assert_eq!(Digest::of(draft), digest);
        prop_assert!(seal(&bytes[..bytes.len() - 1]).is_none());
    }

    /// A lander that is stopped anywhere, and begins again from its two marks, gives each ended call
    /// the same row, once.
    #[test]
    fn restarts_change_no_call(
        steps in proptest::collection::vec((0u128..6, 0u8..6), 1..120),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
    ) {
        let items = life(&steps);
        let whole = rows(&items, &[], Fold::default);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(items.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(&rows(&items, &cuts, Fold::default), &whole);
        prop_assert_eq!(&rows(&items, &cuts, || Fold::default().packing()), &whole);
    }
}

/// Calls that begin, go on and end in any order, second ends and events of unknown calls among them.
fn life(steps: &[(u128, u8)]) -> Vec<Item> {
    let mut seqs = [0u32; 6];
    let steps = steps.iter().enumerate();
    steps
        .map(|(offset, (call, step))| {
            let slot = &mut seqs[usize::try_from(*call).unwrap()];
            let (event_type, body) = match step {
                0 | 1 => ("call.started", r#"{"weir.endpoint":"/v1/x"}"#),
                2 => ("call.completed", r#"{"gen_ai.usage.output_tokens":3}"#),
                3 => ("call.interrupted", "[1]"),
                4 => ("score.recorded", r#"{"gen_ai.evaluation.name":"thumbs"}"#),
                _ => ("from.the.future", "null"),
            };
            // A call id used again after its end is another call that begins with 0.
            if *step == 0 {
                *slot = 0;
            }
            let seq = *slot;
            *slot += 1;
            Item::Record(Record {
                envelope: Envelope {
                    v: 1,
                    event_id: EventId(Uuid::from_u128(offset as u128)),
                    event_type: event_type.to_owned(),
                    call_id: Some(CallId(Uuid::from_u128(*call))),
                    seq,
                    time_unix_nano: i64::try_from(offset).unwrap() * 1000,
                    tenant: None,
                    app: None,
                    trace_id: None,
                    span_id: None,
                    journal_id: JournalId(Uuid::from_u128(1)),
                    offset: i64::try_from(offset).unwrap(),
                    chain: Chain::START,
                },
                body: Json::parse(body.to_owned()).unwrap(),
            })
        })
        .collect()
}

/// Of an end that cannot be read nobody knows how long the call took: not no time at all.
#[test]
fn an_end_that_cannot_be_read_has_no_duration() {
    for body in ["[1]", r#"{"http.response.status_code":200}"#] {
        let items: Vec<Item> = (life(&[(1, 0), (1, 2)]).into_iter())
            .map(|item| match item {
                Item::Record(mut record) if record.envelope.seq == 1 => {
                    record.body = Json::parse(body.to_owned()).unwrap();
                    Item::Record(record)
                }
                other => other,
            })
            .collect();
        let mut rows = CallRows::new();
        Fold::default().apply_all(&items, 0, &mut rows).unwrap();
        let rows = rows.finish().unwrap();
        assert_eq!(rows.num_rows(), 1);
        for name in ["duration_ms", "overhead_ms"] {
            assert_eq!(
                rows.column_by_name(name).unwrap().null_count(),
                1,
                "{name} after {body}"
            );
        }
    }
}

/// What a call may have learned when it is packed comes back to the bit.
#[test]
fn packing_a_call_changes_nothing() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../event/tests/golden/v1");
    let types = [
        "call.started",
        "guardrail.evaluated",
        "cache.answered",
        "attempt.started",
        "attempt.failed",
    ];
    let types = types
        .into_iter()
        .chain(["response.started", "score.recorded", "call.completed"]);
    let items: Vec<Item> = (types.zip(0i64..))
        .map(|(name, offset)| {
            let text = std::fs::read_to_string(golden.join(format!("{name}.json"))).unwrap();
            let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
            record["call_id"] = "0192f0c0-0000-7000-8000-00000000000a".into();
            record["journal_id"] = "0192f0c0-0000-7000-8000-000000000001".into();
            record["seq"] = offset.into();
            record["offset"] = offset.into();
            let journal = "0192f0c0-0000-7000-8000-000000000001".parse().unwrap();
            Item::read(JournalId(journal), offset, record.to_string().into_bytes())
        })
        .collect();
    let whole = rows(&items, &[], Fold::default);
    assert!(whole.len() == 1 && whole[0].started.request_body.is_some() && whole[0].provider.is_some());
    assert_eq!(rows(&items, &[], || Fold::default().packing()), whole);
}

/// The ended calls, with restarts at `cuts`.
fn rows(items: &[Item], cuts: &[usize], begin: fn() -> Fold) -> Vec<Call> {
    let mut out = Vec::new();
    let mut fold = begin();
    for (at, item) in items.iter().enumerate() {
        for _ in cuts.iter().filter(|cut| **cut == at) {
            let next = i64::try_from(at).unwrap();
            let low = usize::try_from(fold.low(next)).unwrap();
            fold = begin();
            for item in &items[low..at] {
                // Ends before the mark have their rows.
                fold.apply(item, &mut |_| {}).unwrap();
            }
        }
        fold.apply(item, &mut |call| out.push(call.clone())).unwrap();
        fold.rest();
    }
    out
}
