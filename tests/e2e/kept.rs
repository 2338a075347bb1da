//! What is kept of a call, and what is counted of it, where a guardrail or the configuration takes text away.

use serde_json::{Value, json};

use crate::harness::{Place, Upstream, Weir, config};
use crate::policies::{CHAT, EMAIL};
use crate::raw::post;

/// Who and how is told under every setting; without what no rule lets through.
#[test]
fn parameters_are_kept_where_bodies_are_not() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start_config(&place, &config(&upstream, "[recording]\nrecord = \"metadata\"\n"));
    let body = json!({"model": "gpt-4o-mini", "stop": ["END", EMAIL], "metadata": {"ticket": "T-7", "of": EMAIL},
        "messages": [{"role": "user", "content": "hello"}]});
    let answer = post(&weir.addr, CHAT, &[], body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let call = answer.call_id();
    assert_eq!(place.call(&call)["request_body"], Value::Null);
    let query = format!("select body from events where call_id = '{call}' and type = 'call.started'");
    let started = place.sql(&query)[0]["body"].to_string();
    for kept in ["END", "T-7", "[EMAIL]"] {
        assert!(started.contains(kept), "{started}");
    }
    place.assert_absent(EMAIL);
    weir.stop();
    place.verify();
}
