//! What the history says of calls that did not go well, and what their apps see of it.

use serde_json::json;

use crate::harness::{Place, Upstream, Weir, config};
use crate::raw::{get, post};

const CHAT: &str = "/v1/chat/completions";

/// given up is counted.
#[test]
fn a_full_journal_that_sheds_serves_on() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let settings = "[journal]\nquota_mib = 1\nsegment_mib = 1\nwhen_full = \"shed\"\n";
    place.write_config(&config(&upstream, settings));
    let path = place.config();
    let weir = Weir::start_role("sidecar", &place, &["--config", path.to_str().unwrap()], &[]);
    let long = "lorem ipsum ".repeat(10_000);
    let body = |stream: bool| {
        json!({"model": "gpt-4o-mini", "stream": stream, "messages": [{"role": "user", "content": long}]})
            .to_string()
            .into_bytes()
    };
    for n in 0..20 {
        let answer = post(&weir.addr, CHAT, &[], &body(n % 2 == 1));
        assert_eq!(answer.status, 200, "call {n}: {}", answer.text());
        assert!(answer.complete, "call {n}");
    }
    let ready = get(&weir.addr, "/readyz");
    assert_eq!(ready.status, 200, "{}", ready.text());
    assert!(ready.text().contains("given up"), "{}", ready.text());
    let shed = || -> u64 {
        let metrics = get(&weir.addr, "/metrics").text();
        let lines = metrics.lines();
        lines
            .filter_map(|line| {
                line.strip_prefix("weir_journal_shed_events_total ")?
                    .parse::<u64>()
                    .ok()
            })
            .sum()
    };
    let before = shed();
    assert!(before > 0);
    post(&weir.addr, CHAT, &[], &body(false));
    assert_eq!(shed() - before, 3, "start, attempt and end of the call");
    weir.stop();
}
