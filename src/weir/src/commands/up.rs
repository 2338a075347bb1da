//! `weir up`, `weir sidecar`.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::{configuration, leave};
use crate::args::UpArgs;
use crate::config::watch;
use crate::discover;
use crate::error::Failure;
use crate::out::{complain, say};
use crate::runtime::{Given, Plan, Weir};

/// Runs the command until SIGTERM or SIGINT.
pub fn run(args: UpArgs, analytics: bool) -> Result<ExitCode, Failure> {
    #[cfg(feature = "analytics")]
    if args.accept_loss && !analytics {
        return Err(Failure::Usage(
            "--accept-loss is about landing, and `weir sidecar` lands nothing".to_owned(),
        ));
    }
    let (mut config, file) = configuration(&args.place)?;
    let given = Given {
        listen: args.listen,
        data: args.place.data,
        upstream: (args.upstream.as_deref()).map(|url| discover::from_url(url, |name| std::env::var(name).ok())),
    };
    given.apply(&mut config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .on_thread_start(after_calls)
        .build()?;
    let served = runtime.block_on(serve(Plan {
        config,
        file,
        given,
        analytics: analytics && cfg!(feature = "analytics"),
        #[cfg(feature = "analytics")]
        accept_loss: args.accept_loss,
    }));
    leave(runtime, served.is_ok());
    served?;
    Ok(ExitCode::SUCCESS)
}

/// Landing and queries get the time that calls leave: their threads are nicer than the workers'.
/// The journal is their queue, so that nothing is lost by waiting.
fn after_calls() {
    // Elsewhere niceness belongs to processes.
    #[cfg(all(feature = "analytics", target_os = "linux"))]
    {
        use thread_priority::{ThreadPriority, ThreadPriorityValue};
        // Of 99: niceness 10.
        const LOW: u8 = 23;
        let low = ThreadPriorityValue::try_from(LOW).map(ThreadPriority::Crossplatform);
        if let Err(error) = low.map(ThreadPriority::set_for_current) {
            tracing::debug!(error, "landing runs at the priority of calls");
        }
    }
}

async fn serve(plan: Plan) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut changes = watch(plan.file.as_deref());
    let weir = Weir::start(plan).await?;
    welcome(&weir)?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
            _ = hang_up.recv() => {
                changes.follow();
                reload(&weir);
            }
            () = changes.next() => reload(&weir),
        }
    }
    complain("stopping: open calls get time to finish");
    let stopped = weir.stop();
    tokio::select! {
        done = stopped => done,
        // A second signal means it.
        _ = terminate.recv() => Err(cut_short()),
        _ = tokio::signal::ctrl_c() => Err(cut_short()),
    }
}

fn cut_short() -> Failure {
    Failure::Other("stopped before open calls had finished; the next start records them as interrupted".to_owned())
}

fn reload(weir: &Weir) {
    match weir.reload() {
        Ok(waiting) if waiting.is_empty() => complain("configuration reloaded"),
        Ok(waiting) => complain(&format!(
            "configuration reloaded; needs a restart: {}",
            waiting.join(", ")
        )),
        Err(error) => complain(&format!(
            "the new configuration is refused, the old one stays in force:\n{error}"
        )),
    }
}

/// What a newcomer needs to know.
fn welcome(weir: &Weir) -> Result<(), Failure> {
    let config = weir.config();
    let snapshot = weir.shared.snapshot.load();
    say(&format!(
        "weir {} listens on http://{}",
        env!("CARGO_PKG_VERSION"),
        weir.listen()
    ))?;
    let data = std::path::absolute(&config.data).unwrap_or_else(|_| config.data.clone());
    say(&format!("  data       {}", data.display()))?;
    for target in snapshot.routes.targets() {
        let key = match (&target.credential_id, &target.authorization) {
            (Some(name), Some(_)) => format!("key from {name}"),
            // It says who the app is, and is meant for Weir alone.
            _ if snapshot.wants_client_key() => "without a key: the app's own is Weir's".to_owned(),
            _ => "the app's own key is passed on".to_owned(),
        };
        let scheme = if target.tls { "https" } else { "http" };
        say(&format!(
            "  upstream   {}  {scheme}://{}:{}{}  ({key})",
            target.name, target.host, target.port, target.base_path
        ))?;
    }
    if snapshot.routes.targets().is_empty() {
        say("  upstream   none: set a provider key such as OPENAI_API_KEY, or use --upstream http://host:port/v1")?;
    }
    let guard = if config.guard.off {
        "off".to_owned()
    } else {
        format!("policy {}", snapshot.policies.fallback().version())
    };
    say(&format!("  guardrails {guard}"))?;
    if weir.interrupted > 0 {
        say(&format!(
            "  recovered  {} calls that the last run left open are marked interrupted",
            weir.interrupted
        ))?;
    }
    if let Some(torn) = &weir.recovery.torn {
        say(&format!(
            "  recovered  {} bytes of an unfinished write were cut from the journal",
            torn.bytes
        ))?;
    }
    for hole in &weir.recovery.corrupt {
        complain(&format!("the journal is damaged: {hole}"));
    }
    let place = if config.data == std::path::Path::new("weir-data") {
        String::new()
    } else {
        format!(" --data {}", config.data.display())
    };
    say("")?;
    say("Try next:")?;
    say(&format!(
        "  export OPENAI_BASE_URL=http://{}/v1    # then run your app",
        weir.listen()
    ))?;
    say(&format!("  weir tail{place}"))?;
    // A sidecar alone has no tables.
    if weir.has_tables() {
        say(&format!(
            "  weir sql{place} \"select request_model, status, count(*) from calls group by all\""
        ))?;
    }
    Ok(())
}
