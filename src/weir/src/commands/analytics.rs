//! `weir analytics`.

use std::path::Path;
use std::process::ExitCode;

use lake::KafkaSource;
use tokio::signal::unix::{SignalKind, signal};

use super::{configuration, leave};
use crate::args::AnalyticsArgs;
use crate::config::{Config, kafka};
use crate::error::Failure;
use crate::out::{complain, say};
use crate::runtime::{Analytics, StatusPage, ticker};

/// Runs the command until SIGTERM or SIGINT.
pub fn run(args: AnalyticsArgs) -> Result<ExitCode, Failure> {
    let (mut config, file) = configuration(&args.place)?;
    if let Some(listen) = args.listen {
        config.analytics.listen = listen;
    }
    let base = file.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
    let Some(settings) = kafka(&config, base)? else {
        return Err(Failure::Usage(
            "no Kafka is configured, and `weir analytics` lands what sidecars ship there: set kafka.brokers (or WEIR_KAFKA__BROKERS='[\"host:9092\"]'). Without Kafka, `weir up` does all in one process".to_owned(),
        ));
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(&config, settings, args.accept_loss));
    leave(runtime, served.is_ok());
    served?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: &Config, settings: stream::Settings, accept_loss: bool) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    // A terminal that closes sends it, too, and must not end landing.
    let mut hangup = signal(SignalKind::hangup())?;
    journal::make_dir(&config.data).map_err(|error| {
        Failure::Other(format!(
            "cannot make the data folder {}: {error}",
            config.data.display()
        ))
    })?;
    let source =
        KafkaSource::new(&settings, &config.data, accept_loss).map_err(|error| Failure::Usage(error.to_string()))?;
    let analytics = Analytics::start(config, source, accept_loss).await?;
    let page = StatusPage::serve(config, analytics.companion(), ticker::start()).await?;
    let data = std::path::absolute(&config.data).unwrap_or_else(|_| config.data.clone());
    say(&format!(
        "weir {} lands topic {} of {}\n  data       {}\n  status     http://{}/readyz",
        env!("CARGO_PKG_VERSION"),
        settings.topic,
        settings.brokers.join(","),
        data.display(),
        page.listen()
    ))?;
    say(&format!(
        "\nTry next:\n  weir sql --data {} \"select app, status, count(*) from calls group by all\"",
        config.data.display()
    ))?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
            _ = hangup.recv() => complain("the configuration is read at the start only: a changed one counts after a restart"),
        }
    }
    complain("stopping: what was read lands first");
    drop(page);
    tokio::select! {
        () = analytics.stop() => Ok(()),
        // A second signal means it.
        _ = terminate.recv() => Err(Failure::Other("stopped before all had landed; it is read again from Kafka".to_owned())),
        _ = tokio::signal::ctrl_c() => Err(Failure::Other("stopped before all had landed; it is read again from Kafka".to_owned())),
    }
}
