//! `weir demo`: the whole product in a minute, without a key.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use tokio::net::TcpListener;

use crate::config::{Config, Price};
use crate::demo::drive::{Drive, drive};
use crate::demo::{DemoArgs, run_upstream, upstream};
use crate::error::Failure;
use crate::out::say;
use crate::runtime::{Given, Plan, Weir};

/// Runs the command.
pub fn run(args: DemoArgs) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if args.upstream_only {
            return Ok(run_upstream(&args, interrupted()).await?);
        }
        tour(args).await
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn interrupted() {
    let terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    match terminated {
        Ok(mut terminated) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

async fn tour(args: DemoArgs) -> Result<(), Failure> {
    let data = match &args.data {
        Some(data) => data.clone(),
        None => std::env::temp_dir().join(format!("weir-demo-{}", std::process::id())),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let upstream_url = format!("http://{}/v1", listener.local_addr()?);
    tokio::spawn(upstream::serve(listener, std::future::pending()));
    let mut config = Config {
        data: data.clone(),
        ..Config::default()
    };
    config.server.listen = args.listen;
    config.upstream = vec![sidecar::config::Upstream {
        name: "demo".to_owned(),
        base_url: Some(upstream_url),
        prices: Some("openai".to_owned()),
        ..sidecar::config::Upstream::default()
    }];
    config.price = Vec::<Price>::new();
    let weir = Weir::start(Plan {
        config,
        file: None,
        given: Given::default(),
        analytics: true,
        #[cfg(feature = "analytics")]
        accept_loss: false,
    })
    .await?;
    say(&format!(
        "weir listens on http://{}, its data lies in {}",
        weir.listen(),
        data.display()
    ))?;
    say("An offline upstream answers; no key is needed and nothing leaves this machine.\n")?;
    let plan = Drive {
        base_url: format!("http://{}", weir.listen()),
        calls: args.calls,
        seed: args.seed,
        concurrency: 16,
    };
    let live = std::io::stderr().is_terminal();
    let began = std::time::Instant::now();
    let tally = drive(&plan, |tally| {
        if live {
            let _ = write!(
                std::io::stderr(),
                "\r{} of {} calls: {} answered, {} blocked, {} cancelled, {} failed   ",
                tally.done(),
                tally.total,
                tally.answered,
                tally.blocked,
                tally.cancelled,
                tally.failed.values().sum::<u64>()
            );
        }
    })
    .await
    .map_err(Failure::other)?;
    if live {
        let _ = writeln!(std::io::stderr());
    }
    say(&format!(
        "{} calls in {:.1} s: {} answered, {} blocked by a guardrail, {} cancelled by the app, {} failed upstream, {} lost.\n",
        tally.total,
        began.elapsed().as_secs_f64(),
        tally.answered,
        tally.blocked,
        tally.cancelled,
        tally.failed.values().sum::<u64>(),
        tally.lost
    ))?;
    for surprise in tally.surprises.iter().take(5) {
        say(&format!("  unexpected: {surprise}"))?;
    }
    #[cfg(feature = "analytics")]
    questions(&weir, &data, tally.total).await?;
    if args.stay {
        say(&format!(
            "Weir stays at http://{} until you interrupt it.",
            weir.listen()
        ))?;
        interrupted().await;
    }
    weir.stop().await?;
    say("The history stays. Ask it more:")?;
    say(&format!(
        "  weir sql --data {} \"select * from calls limit 5\"",
        data.display()
    ))?;
    say(&format!(
        "  weir sql --data {}                  # a prompt",
        data.display()
    ))?;
    say(&format!(
        "  weir lake verify --data {}          # prove that no event is missing",
        data.display()
    ))?;
    say("And with your own model:")?;
    say("  weir up --upstream http://127.0.0.1:8000/v1")?;
    Ok(())
}

/// Questions that show what the history knows.
#[cfg(feature = "analytics")]
const QUESTIONS: &[(&str, &str)] = &[
    (
        "How did the calls end, and what did they cost?",
        "select status, count(*) as calls, sum(input_tokens) as input_tokens, sum(output_tokens) as output_tokens, \
         cast(sum(cost_nano_usd) / 1e9 as decimal(12, 6)) as usd, round(approx_percentile_cont(duration_ms, 0.5), 1) as p50_ms \
         from calls group by status order by calls desc",
    ),
    ("What did the guardrails stop?", "@guardrails"),
    (
        "Who spends the most?",
        "select app, request_model as model, count(*) as calls, cast(sum(cost_nano_usd) / 1e9 as decimal(12, 6)) as usd \
         from calls where cost_nano_usd is not null group by app, request_model order by usd desc limit 6",
    ),
    (
        "What did a redacted prompt become?",
        "select substr(request_text, greatest(1, strpos(request_text, '[') - 40), 90) as prompt from calls where guardrail_action = 'redact' and request_text like '%[EMAIL]%' \
         order by started_at desc limit 2",
    ),
];

#[cfg(feature = "analytics")]
async fn questions(weir: &Weir, data: &std::path::Path, calls: u64) -> Result<(), Failure> {
    let Some(analytics) = weir.analytics() else {
        return Ok(());
    };
    analytics.wait_for_calls(calls).await?;
    for (title, sql) in QUESTIONS {
        say(title)?;
        say(&format!("  weir sql --data {} \"{sql}\"", data.display()))?;
        say(&analytics.table(sql).await?)?;
    }
    Ok(())
}
