//! Properties of envelope, chain and fold.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use event::body::*;
use event::{Applied, Body, Call, CallId, Chain, Draft, Event, JournalId, Record, Scope, Usage};
use proptest::prelude::*;

fn seal(draft: &Draft, journal: JournalId, offset: i64, chain: &Chain) -> Record {
    let mut bytes = draft.bytes().to_vec();
    Draft::seal_into(journal, offset, chain, &mut bytes);
    Record::parse(&bytes).unwrap()
}

/// What a newer version wrote is told from what these fields can tell, byte by byte.
#[test]
fn a_record_knows_whether_it_tells_all() {
    let draft = Draft::new(
        &Scope::default(),
        Some(CallId::new()),
        0,
        7,
        &Body::CallStarted(Box::default()),
    )
    .unwrap();
    let sealed = |draft: &[u8]| {
        let mut bytes = draft.to_vec();
        Draft::seal_into(JournalId::new(), 3, &Chain::START, &mut bytes);
        bytes
    };
    let bytes = sealed(draft.bytes());
    let record = Record::parse(&bytes).unwrap();
    assert!(record.rebuilds(&bytes));
    assert_eq!(record.to_bytes().unwrap(), bytes);
    let text = std::str::from_utf8(draft.bytes()).unwrap();
    let newer = [
        format!("{text},\"zone\":\"eu\""),
        text.replacen("\"v\":1", "\"v\":1,\"zone\":{}", 1),
        text.replacen("\"v\":1", "\"v\": 1", 1),
    ];
    for newer in newer {
        let bytes = sealed(newer.as_bytes());
        let record = Record::parse(&bytes).unwrap();
        assert!(!record.rebuilds(&bytes), "{newer}");
    }
    for cut in 0..bytes.len() {
        assert!(!record.rebuilds(&bytes[..cut]));
        assert!(!record.rebuilds(&bytes[cut + 1..]));
    }
}

fn any_body() -> impl Strategy<Value = Body> {
    let text = "[a-zA-Z0-9 \"\\\\\u{e9}\u{1f600}\n]{0,12}";
    let option = proptest::option::of(text);
    prop_oneof![
        (option.clone(), any::<bool>(), proptest::option::of(any::<u64>())).prop_map(|(model, stream, max)| {
            let body = CallStarted {
                request_model: model,
                stream,
                max_tokens: max,
                ..CallStarted::default()
            };
            Body::CallStarted(Box::new(body))
        }),
        (prop_oneof![Just("flag"), Just("redact"), Just("block")], text).prop_map(|(action, rule)| {
            let verdict = GuardrailVerdict {
                rule,
                action: action.to_owned(),
                ..GuardrailVerdict::default()
            };
            let action = Some(action.to_owned());
            let body = GuardrailEvaluated {
                action,
                verdicts: vec![verdict],
                ..GuardrailEvaluated::default()
            };
            Body::GuardrailEvaluated(Box::new(body))
        }),
        text.prop_map(|provider| {
            Body::AttemptStarted(Box::new(AttemptStarted {
                provider,
                ..AttemptStarted::default()
            }))
        }),
        text.prop_map(|error_type| {
            Body::AttemptFailed(Box::new(AttemptFailed {
                error_type,
                ..AttemptFailed::default()
            }))
        }),
        any::<u64>().prop_map(|ns| {
            let body = ResponseStarted {
                time_to_first_token_ns: ns,
                ..ResponseStarted::default()
            };
            Body::ResponseStarted(Box::new(body))
        }),
        (option.clone(), proptest::option::of(0u64..1 << 40)).prop_map(|(code, tokens)| {
            let body = CallEnded {
                error_code: code,
                input_tokens: tokens,
                ..CallEnded::default()
            };
            Body::CallFailed(Box::new(body))
        }),
        proptest::option::of(0u64..1 << 40).prop_map(|tokens| {
            Body::CallCompleted(Box::new(CallEnded {
                output_tokens: tokens,
                ..CallEnded::default()
            }))
        }),
        (text, -1.0e6..1.0e6f64).prop_map(|(name, value)| {
            Body::ScoreRecorded(Box::new(ScoreRecorded {
                name,
                value: Some(value),
                ..ScoreRecorded::default()
            }))
        }),
    ]
}

fn events(bodies: &[Body]) -> Vec<Event> {
    let (call, journal) = (CallId::new(), JournalId::new());
    let mut chain = Chain::START;
    let records = (0..).zip(bodies).map(|(seq, body)| {
        let draft = Draft::new(&Scope::default(), Some(call), seq, i64::from(seq) * 1000, body).unwrap();
        chain = chain.next(journal, seq.into(), draft.digest());
        seal(&draft, journal, seq.into(), &chain).decode().unwrap()
    });
    records.collect()
}

fn fold(mut call: Call, events: &[Event]) -> Call {
    for event in events {
        call.apply(event);
    }
    call
}

proptest! {
    /// A fold stored after any prefix and taken up again ends as the fold of all.
    #[test]
    fn prefix_then_rest_is_all(bodies in proptest::collection::vec(any_body(), 0..12), cut in any::<prop::sample::Index>()) {
        let events = events(&bodies);
        let cut = cut.index(events.len() + 1);
        let prefix = fold(Call::default(), &events[..cut]);
        let stored = serde_json::to_string(&prefix).unwrap();
        let resumed: Call = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(fold(resumed, &events[cut..]), fold(Call::default(), &events));
    }

    /// Redelivery changes nothing, wherever it happens and however far it goes back.
    #[test]
    fn redelivery_changes_nothing(bodies in proptest::collection::vec(any_body(), 1..12), at in any::<prop::sample::Index>(), back in any::<prop::sample::Index>()) {
        let events = events(&bodies);
        let at = at.index(events.len()) + 1;
        let from = back.index(at);
        let mut call = fold(Call::default(), &events[..at]);
        for event in &events[from..at] {
            prop_assert_eq!(call.apply(event), Applied::Duplicate);
        }
        prop_assert_eq!(fold(call, &events[at..]), fold(Call::default(), &events));
    }

    /// Only the first end counts.
    #[test]
    fn a_call_ends_once(bodies in proptest::collection::vec(any_body(), 0..12)) {
        let events = events(&bodies);
        let first_end = events.iter().find(|event| event.body.event_type().is_terminal());
        let call = fold(Call::default(), &events);
        prop_assert_eq!(call.is_ended(), first_end.is_some());
        prop_assert_eq!(call.ended_unix_nano, first_end.map(|event| event.envelope.time_unix_nano));
    }

    /// A record's bytes are rebuilt from its fields, and the chain is verifiable from them alone.
    #[test]
    fn records_round_trip_and_chain(bodies in proptest::collection::vec(any_body(), 1..6), app in proptest::option::of(".{0,8}"), flip in any::<prop::sample::Index>()) {
        let (call, journal) = (CallId::new(), JournalId::new());
        let scope = Scope { app, ..Scope::default() };
        let mut chain = Chain::START;
        let mut records = Vec::new();
        for (offset, body) in (0i64..).zip(&bodies) {
            let draft = Draft::new(&scope, Some(call), 0, offset, body).unwrap();
            chain = chain.next(journal, offset, draft.digest());
            let record = seal(&draft, journal, offset, &chain);
            prop_assert_eq!(&record.canonical().unwrap(), draft.bytes());
            prop_assert_eq!(&Record::parse(&record.to_bytes().unwrap()).unwrap(), &record);
            records.push(record);
        }
        let mut previous = Chain::START;
        for record in &records {
            prop_assert_eq!(record.expected_chain(&previous).unwrap(), record.envelope.chain);
            previous = record.envelope.chain;
        }
        // Any altered field breaks its own link.
        let at = flip.index(records.len());
        let before = at.checked_sub(1).map_or(Chain::START, |i| records[i].envelope.chain);
        records[at].envelope.time_unix_nano ^= 1;
        prop_assert_ne!(records[at].expected_chain(&before).unwrap(), records[at].envelope.chain);
    }

    /// Disjoint buckets and OpenTelemetry's overlapping totals say the same.
    #[test]
    fn usage_buckets_are_disjoint(input in proptest::option::of(0u64..1 << 40), read in proptest::option::of(0u64..1 << 40), write in proptest::option::of(0u64..1 << 40), output in proptest::option::of(0u64..1 << 40), reasoning in proptest::option::of(0u64..1 << 40)) {
        let usage = Usage { input, cache_read: read, cache_write: write, output, reasoning };
        let totals = Usage::from_totals(usage.input_total(), read, write, usage.output_total(), reasoning);
        prop_assert_eq!(totals, usage);
        if let Some(total) = usage.input_total() {
            prop_assert_eq!(total, input.unwrap_or(0) + read.unwrap_or(0) + write.unwrap_or(0));
        }
    }
}
