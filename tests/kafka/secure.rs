//! Clusters that let in only whom they know.

use crate::broker::{Broker, all_landed, analytics_env, call, ready, sidecar_env};
use crate::harness::{PATIENCE, Place, Upstream, eventually};

fn sasl(broker: &Broker, mechanism: &str) -> String {
    format!(
        "[kafka]\nbrokers = [\"{}\"]\n[kafka.security]\nprotocol = \"sasl_tls\"\nca_file = \"{}\"\nmechanism = \"{mechanism}\"\nusername = \"{}\"\npassword_env = \"KAFKA_PASSWORD\"\n",
        broker.env["KAFKA_BOOTSTRAP_SASL"], broker.env["KAFKA_CA"], broker.env["KAFKA_USER"]
    )
}

/// The broker shows who it is, the client does not.
fn one_way(broker: &Broker) -> String {
    format!(
        "[kafka]\nbrokers = [\"{}\"]\n[kafka.security]\nprotocol = \"tls\"\nca_file = \"{}\"\n",
        broker.env["KAFKA_BOOTSTRAP_TLS"], broker.env["KAFKA_CA"]
    )
}

fn mutual(broker: &Broker) -> String {
    format!(
        "[kafka]\nbrokers = [\"{}\"]\n[kafka.security]\nprotocol = \"tls\"\nca_file = \"{}\"\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n",
        broker.env["KAFKA_BOOTSTRAP_MTLS"],
        broker.env["KAFKA_CA"],
        broker.env["KAFKA_CLIENT_CERT"],
        broker.env["KAFKA_CLIENT_KEY"]
    )
}

#[test]
fn events_pass_over_tls_and_sasl() {
    let (broker, upstream) = (Broker::start_with(&["--secure"]), Upstream::start());
    let password = broker.env["KAFKA_PASSWORD"].clone();
    let env = [("KAFKA_PASSWORD", password.as_str())];
    let (near, far) = (Place::new(), Place::new());
    for kafka in [
        sasl(&broker, "SCRAM-SHA-512"),
        sasl(&broker, "SCRAM-SHA-256"),
        sasl(&broker, "PLAIN"),
        mutual(&broker),
        one_way(&broker),
    ] {
        let app = sidecar_env(&near, &upstream, &kafka, &env);
        let lander = analytics_env(&far, &kafka, &[], &env);
        let id = call(&app, "shop", "hi");
        far.call(&id);
        app.stop();
        lander.stop();
    }
    let lander = analytics_env(&far, &mutual(&broker), &[], &env);
    all_landed(&far, &[&near]);
    lander.stop();
}

#[test]
fn whoever_is_not_let_in_is_told_so() {
    let (broker, upstream) = (Broker::start_with(&["--secure"]), Upstream::start());
    let place = Place::new();
    let no_certificate = mutual(&broker).lines().take(5).collect::<Vec<_>>().join("\n") + "\n";
    for kafka in [sasl(&broker, "SCRAM-SHA-512"), sasl(&broker, "PLAIN"), no_certificate] {
        let app = sidecar_env(&place, &upstream, &kafka, &[("KAFKA_PASSWORD", "wrong")]);
        call(&app, "shop", "hi");
        let said = eventually("the refusal is told", PATIENCE, || {
            Some(ready(&app).1).filter(|said| said.contains("refuses us"))
        });
        assert!(said.contains("Check [kafka.security]"), "{said}");
        assert!(!app.log().contains("wrong"), "the password is in the log");
        app.stop();
    }
}
