//! Start, stop, reload.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Place, Upstream, Weir, config, eventually, weir as weir_command};
use crate::raw::{self, post, streamed_text};

fn chat(stream: bool) -> Vec<u8> {
    json!({"model": "gpt-4o-mini", "stream": stream, "messages": [{"role": "user", "content": "Why is the sky blue?"}]})
        .to_string()
        .into_bytes()
}

#[test]
fn sigterm_finishes_calls_and_leaves_with_0() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let mut weir = Weir::start(&place, &upstream);
    let mut open = raw::open(
        &weir.addr,
        "/v1/chat/completions",
        &[("x-demo", "delay_ms=30")],
        &chat(true),
    );
    assert!(open.next().is_some());
    weir.signal("TERM");
    std::thread::sleep(Duration::from_millis(200));
    // No new calls: no connection, or an answer that says why.
    if let Ok(answer) = raw::try_send(&weir.addr, "POST", "/v1/chat/completions", &[], &chat(false)) {
        assert_eq!(answer.answer.status, 503);
    }
    let call_id = open.answer.call_id();
    let answer = open.read_all().unwrap();
    assert!(
        answer.complete && answer.text().contains("[DONE]"),
        "the call in flight was cut: {}",
        answer.text()
    );
    assert!(streamed_text(&answer.body).contains("blue"));
    assert!(weir.wait().success(), "weir up left with an error");
    assert_eq!(place.call(&call_id)["status"], "completed");
    assert_eq!(
        place.sql_number("select count(*) as n from events where type = 'sidecar.stopped'"),
        1
    );
    place.verify();
}

#[test]
fn sigterm_waits_only_so_long() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let mut weir = Weir::start_config(&place, &config(&upstream, "[server]\nshutdown_seconds = 1\n"));
    let mut open = raw::open(
        &weir.addr,
        "/v1/chat/completions",
        &[("x-demo", "hang_after=5")],
        &chat(true),
    );
    assert!(open.next().is_some());
    let call_id = open.answer.call_id();
    weir.signal("TERM");
    assert!(weir.wait().success());
    let row = place.call(&call_id);
    assert!(row["status"] != "completed" && row["status"].is_string(), "{row}");
    place.verify();
}

/// What tells the configurations apart: whether a card is blocked.
fn is_blocked(weir: &Weir<'_>) -> bool {
    let card = format!("{} {}", "4242 4242", "4242 4242");
    let body = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": format!("Is {card} mine?")}]});
    let answer = post(&weir.addr, "/v1/chat/completions", &[], body.to_string().as_bytes());
    assert!(matches!(answer.status, 200 | 400), "{}", answer.text());
    answer.status == 400
}

const BLOCKS: &str = "[guard.policy.rules.\"pii.credit-card\"]\naction = \"block\"\n";

#[test]
fn reload_keeps_the_last_good_configuration() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start_config(&place, &config(&upstream, ""));
    let is = |blocked: bool, when: &str| eventually(when, PATIENCE, || (is_blocked(&weir) == blocked).then_some(()));
    assert!(!is_blocked(&weir));
    place.write_config(&config(&upstream, BLOCKS));
    is(true, "the changed file counts");
    place.write_config(&config(&upstream, ""));
    weir.signal("HUP");
    is(false, "SIGHUP reads the file again");

    // A broken one changes nothing, and is told.
    place.write_config(&config(&upstream, BLOCKS));
    is(true, "the changed file counts again");
    let refused = |n: i64| {
        eventually("the refusal is an event", PATIENCE, || {
            let query = "select count(*) as n from events where type = 'config.changed' and strpos(body, '\"weir.config.accepted\":false') > 0";
            (place.sql_number(query) >= n).then_some(())
        });
    };
    for broken in [
        "[guard.policy]\npakcs = []\n",
        "this is no TOML",
        "[guard.policy.rules.\"pii.credit-crad\"]\naction = \"block\"\n",
    ] {
        place.write_config(&config(&upstream, broken));
        weir.signal("HUP");
        eventually("the log names the fault", PATIENCE, || {
            weir.log().contains("weir.toml").then_some(())
        });
        std::thread::sleep(Duration::from_millis(300));
        assert!(is_blocked(&weir), "a broken configuration took effect: {broken}");
    }
    refused(1);
    // Until the file is good again, whoever watches Weir is told.
    let told = |path: &str, line: &str, there: bool| {
        eventually(line, PATIENCE, || {
            (raw::get(&weir.addr, path).text().contains(line) == there).then_some(())
        });
    };
    told("/metrics", "weir_config_refused 1\n", true);
    told("/readyz", "configuration: the file is refused", true);
    place.write_config(&config(&upstream, BLOCKS));
    weir.signal("HUP");
    told("/metrics", "weir_config_refused 0\n", true);
    told("/readyz", "configuration: the file is refused", false);
    let metrics = raw::get(&weir.addr, "/metrics").text();
    let counted = |name: &str| {
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix("_total "));
        line.and_then(|count| count.parse::<u32>().ok()).unwrap_or(0)
    };
    assert!(
        counted("weir_config_reloads") >= 4 && counted("weir_config_refused_reloads") >= 3,
        "{metrics}"
    );
    weir.stop();
    place.verify();
}

/// A pack of one's own takes effect when its file changes, and a broken one leaves the old rules in force.
#[test]
fn packs_are_reloaded() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let pack = place.config().with_file_name("own.toml");
    let rule = |regex: &str| {
        format!(
            "name = \"own\"\nversion = \"1\"\n\n[[rule]]\nid = \"word\"\nentity = \"WORD\"\nkind = \"topic\"\n\
             action = \"block\"\nphase = \"both\"\nregex = '{regex}'\n"
        )
    };
    std::fs::write(&pack, rule("nothing such")).unwrap();
    let more = "[guard]\npack_files = [\"own.toml\"]\n[guard.policy]\npacks = [\"own\"]\n";
    let weir = Weir::start_config(&place, &config(&upstream, more));
    let blocked = |text: &str| {
        let body = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]});
        post(&weir.addr, "/v1/chat/completions", &[], body.to_string().as_bytes()).status == 400
    };
    assert!(!blocked("a zebra"));
    std::fs::write(&pack, rule("zebra")).unwrap();
    eventually("the changed pack counts", PATIENCE, || blocked("a zebra").then_some(()));
    std::fs::write(&pack, rule("zeb(ra")).unwrap();
    eventually("the log names the fault", PATIENCE, || {
        let log = weir.log();
        (log.contains("own.toml:") && log.contains("stays in force")).then_some(())
    });
    assert!(blocked("a zebra"), "the old rules stay");
    std::fs::write(&pack, rule("giraffe")).unwrap();
    eventually("the mended pack counts", PATIENCE, || {
        blocked("a giraffe").then_some(())
    });
    assert!(!blocked("a zebra"));
    weir.stop();
}

#[test]
fn a_configuration_is_checked_before_it_counts() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let check = |text: &str| {
        place.write_config(text);
        let output = weir_command()
            .args(["config", "check"])
            .arg(place.config())
            .output()
            .unwrap();
        (
            output.status.success(),
            format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ),
        )
    };
    let (good, said) = check(&config(&upstream, BLOCKS));
    assert!(good, "{said}");
    for (text, hint) in [
        (
            "[server]\nlisten = \"127.0.0.1:0\"\n[recordng]\nrecord = \"full\"\n",
            "recording",
        ),
        ("[server]\nmax_request_byte = 1\n", "max_request_bytes"),
        ("[server]\nlisten = \"0.0.0.0:1\"\n", "client_key"),
    ] {
        let (good, said) = check(text);
        assert!(!good, "accepted: {text}");
        assert!(said.contains(hint), "{hint} is not named in: {said}");
    }
    let (_, said) = check("[server]\nlisten = \"127.0.0.1:0\"\n[recordng]\nrecord = \"full\"\n");
    assert!(
        said.contains("weir.toml") && said.contains('3'),
        "neither file nor line: {said}"
    );
}

#[test]
fn only_one_process_has_a_data_folder() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let output = weir_command()
        .args(["up", "--listen", "127.0.0.1:0", "--upstream", &upstream.url(), "--data"])
        .arg(place.data())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("data"), "not said what is wrong: {said}");
    // The first one goes on.
    assert_eq!(post(&weir.addr, "/v1/chat/completions", &[], &chat(false)).status, 200);
}

#[test]
fn the_world_needs_keys() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let output = weir_command()
        .args(["up", "--listen", "0.0.0.0:0", "--upstream", &upstream.url(), "--data"])
        .arg(place.data())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("client_key"),
        "{output:?}"
    );
}

#[test]
fn health_and_metrics() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    assert_eq!(raw::get(&weir.addr, "/healthz").status, 200);
    post(&weir.addr, "/v1/chat/completions", &[], &chat(true));
    let metrics = raw::get(&weir.addr, "/metrics");
    assert_eq!(metrics.status, 200);
    let text = metrics.text();
    assert!(
        text.contains("gen_ai_client_operation_duration") && text.contains("gpt-4o-mini"),
        "{text}"
    );
    let row = place.sql("select count(*) as n from calls where endpoint like '%healthz%'");
    assert_eq!(row[0]["n"], Value::from(0), "health checks are no calls");
}

#[test]
fn sighup_reads_a_file_that_nobody_watches() {
    let (place, upstream) = (Place::new(), Upstream::start());
    // The watch is on the link's folder, the change in another one.
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("real.toml");
    std::fs::write(&file, config(&upstream, "")).unwrap();
    std::os::unix::fs::symlink(&file, place.config()).unwrap();
    let weir = Weir::start_with(&place, &["--config", place.config().to_str().unwrap()]);
    std::fs::write(&file, config(&upstream, BLOCKS)).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        !is_blocked(&weir),
        "the file was read without SIGHUP: this test says nothing"
    );
    weir.signal("HUP");
    eventually("SIGHUP reads the file", PATIENCE, || is_blocked(&weir).then_some(()));
    weir.stop();
}

#[test]
fn keys_are_found_in_the_environment_and_stay_secret() {
    let place = Place::new();
    let key = format!("sk-{}-{}", "proj", "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z");
    let weir = Weir::start_env(&place, &[], &[("OPENAI_API_KEY", &key)]);
    assert_eq!(raw::get(&weir.addr, "/readyz").status, 200);
    let log = weir.log();
    assert!(log.contains("openai") && log.contains(&weir.addr), "{log}");
    assert!(!log.contains(&key), "the key stands in the log");
    weir.stop();
    place.assert_absent(&key);
    place.verify();
}

#[test]
fn the_demo_shows_the_whole_product() {
    let place = Place::new();
    let output = weir_command()
        .args(["demo", "--calls", "200", "--data"])
        .arg(place.data())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for part in [
        "completed",
        "blocked",
        "cancelled",
        "failed",
        "gpt-4o-mini",
        "pii.email",
        "weir sql",
    ] {
        assert!(said.contains(part), "{part} is not shown:\n{said}");
    }
    assert_eq!(place.sql_number("select count(*) as n from calls"), 200);
    assert_eq!(
        place.sql_number("select count(*) as n from calls where status = 'cancelled'"),
        8
    );
    let cached = "select count(*) as n from calls where cache_read_tokens > 0 and cost_nano_usd > 0";
    assert!(place.sql_number(cached) > 0);
    // What its apps ask is harmless, but for what is blocked.
    let alarms = "select count(*) as n from calls where array_to_string(guardrail_rules, ',') like '%injection%' \
        and (status <> 'blocked' or request_text not like '%Ignore all%')";
    let told = "select request_text from calls where array_to_string(guardrail_rules, ',') like '%injection%'";
    assert_eq!(place.sql_number(alarms), 0, "{:?}", place.sql(told));
    place.verify();
}

/// Runs `weir ARGS…` with this standard input; gives what it printed.
pub fn fed(args: &[&str], input: &str) -> String {
    use std::io::Write;
    let mut command = weir_command();
    command
        .args(args)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{args:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn client_keys_say_who_calls() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let key = "key-of-the-shop";
    let hash = fed(&["config", "hash-key"], key);
    assert!(!hash.contains(key));
    let keys = format!(
        "[[client_key]]\nname = \"shop\"\nhash = \"{}\"\ntenant = \"acme\"\napp = \"shop\"\n",
        hash.trim()
    );
    let weir = Weir::start_config(&place, &config(&upstream, &keys));
    let ask = |authorization: &str| {
        let headers = [
            ("authorization", authorization),
            ("x-weir-app", "somebody-else"),
            ("x-demo", "keep=keyed"),
        ];
        post(&weir.addr, "/v1/chat/completions", &headers, &chat(false))
    };
    for wrong in ["Bearer key-of-the-shoq", "Bearer ", "Basic key-of-the-shop", ""] {
        let answer = ask(wrong);
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (401, &json!("invalid_client_key")),
            "{wrong}"
        );
        assert_eq!(place.call(&answer.call_id())["error_code"], "invalid_client_key");
    }
    assert_eq!(upstream.count("started"), 0);
    let answer = ask("Bearer key-of-the-shop");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let row = place.call(&answer.call_id());
    assert_eq!((&row["tenant"], &row["app"]), (&json!("acme"), &json!("shop")), "{row}");
    // The key is Weir's, not the provider's.
    assert!(
        !upstream.kept("keyed")["headers"].to_string().contains(key),
        "{}",
        upstream.kept("keyed")
    );
    place.assert_absent(key);
    weir.stop();
}

#[test]
fn variables_override_the_file() {
    let (place, upstream) = (Place::new(), Upstream::start());
    // The second is what Kubernetes sets for a service called `weir`.
    let limit = [
        ("WEIR_SERVER__MAX_REQUEST_BYTES", "1000"),
        ("WEIR_PORT", "tcp://10.0.0.1:8080"),
    ];
    let weir = Weir::start_env(&place, &["--upstream", &upstream.url()], &limit);
    assert_eq!(post(&weir.addr, "/v1/chat/completions", &[], &[b' '; 1001]).status, 413);
    weir.stop();
    let output = weir_command()
        .args(["config", "check"])
        .env("WEIR_SERVER__MAX_REQUEST_BITES", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("max_request_bytes"), "{said}");
    // Whatever else is in the environment.
    let mut command = weir_command();
    let odd = OsStr::from_bytes(b"x\xff");
    let output = command.args(["config", "check"]).env("LOCATION", odd).output();
    assert!(output.unwrap().status.success());
}

#[test]
fn sql_reads_queries_from_input_and_file() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let answer = post(&weir.addr, "/v1/chat/completions", &[], &chat(false));
    place.call(&answer.call_id());
    let data = place.data();
    let data = data.to_str().unwrap();
    let query = "select count(*) as n\n  from calls -- all of them\n";
    assert_eq!(fed(&["sql", "--data", data, "--format", "csv", "-"], query), "n\n1\n");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), query).unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(
        fed(&["sql", "--data", data, "--format", "csv", "--file", path], ""),
        "n\n1\n"
    );
    // Every named question has an answer.
    for name in fed(&["sql", "--list"], "")
        .lines()
        .filter_map(|line| line.split_whitespace().next())
    {
        let name = format!("@{}", name.trim_start_matches('@'));
        fed(&["sql", "--data", data, "--format", "csv", &name], "");
    }
    weir.stop();
}
