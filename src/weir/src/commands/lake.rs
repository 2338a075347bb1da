//! `weir lake`.

use std::path::Path;
use std::process::ExitCode;

use lake::{Lake, LakeStatus, Whose};

use super::sql::open_lake;
use super::{data_folder, verdict};
use crate::args::{LakeArgs, LakeCommand};
use crate::error::Failure;
use crate::out::say;
use crate::runtime::journal_folder;

/// Runs the command.
pub fn run(args: LakeArgs) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.command {
            LakeCommand::Verify { json, place } => verify(&data_folder(&place)?, json).await,
            LakeCommand::Rebuild { place } => {
                let report = lake::rebuild(&open(&data_folder(&place)?).await?)
                    .await
                    .map_err(Failure::other)?;
                say(&format!(
                    "calls made anew from {} events: {} calls written, {} still open, {} files for {}",
                    report.events, report.calls, report.open, report.files_added, report.files_removed
                ))?;
                Ok(ExitCode::SUCCESS)
            }
            LakeCommand::Expire { before, place } => {
                let report = lake::expire(&open(&data_folder(&place)?).await?, &before)
                    .await
                    .map_err(Failure::other)?;
                say(&format!(
                    "{} days before {before} are gone: {} events, {} calls; upkeep removes their files, not before a day has passed",
                    report.days.len(),
                    report.events,
                    report.calls
                ))?;
                Ok(ExitCode::SUCCESS)
            }
            LakeCommand::Erase {
                user,
                session,
                call,
                place,
            } => {
                let whose = (user.map(Whose::User))
                    .or(session.map(Whose::Session))
                    .or(call.map(Whose::Call))
                    .ok_or_else(|| Failure::Usage("name a --user, a --session or a --call".to_owned()))?;
                let data = data_folder(&place)?;
                let journal = journal_folder(&data);
                let report = lake::erase(&open(&data).await?, present(&journal), &whose)
                    .await
                    .map_err(Failure::other)?;
                let old = match report.files {
                    0 => "",
                    _ => "; upkeep removes the old ones, not before a day has passed",
                };
                say(&format!(
                    "{} calls erased: {} rows of calls, {} events, {} files written anew{old}",
                    report.calls, report.call_rows, report.event_rows, report.files
                ))?;
                if report.open > 0 {
                    say(&format!(
                        "{} more are still open, or still to land: run it again once they have landed (`weir lake status` says what waits)",
                        report.open
                    ))?;
                }
                if report.calls == 0 && matches!(&whose, Whose::User(user) if user.contains('@')) {
                    say("where guardrails redact e-mail addresses, a user who was named by one stands in the history as [EMAIL], with all others")?;
                }
                if journal.is_dir() {
                    say(&format!(
                        "the journal in {} has what it has not let go of, records of these calls too if they are recent: `weir journal inspect` shows from which offset on",
                        journal.display()
                    ))?;
                }
                Ok(ExitCode::SUCCESS)
            }
            LakeCommand::Compact { place } => {
                let report = lake::compact_now(&open(&data_folder(&place)?).await?)
                    .await
                    .map_err(Failure::other)?;
                say(&format!(
                    "{} files ({} bytes) became {} ({} bytes); {} groups left for next time",
                    report.files_removed,
                    report.bytes_removed,
                    report.files_added,
                    report.bytes_added,
                    report.conflicts
                ))?;
                if report.no_room > 0 {
                    return Err(Failure::Other(format!(
                        "{} groups wait: there is too little room on the lake's disk for both the old files and the new. Make room there",
                        report.no_room
                    )));
                }
                Ok(ExitCode::SUCCESS)
            }
            LakeCommand::Status { json, place } => {
                let data = data_folder(&place)?;
                let journal = journal_folder(&data);
                let status = LakeStatus::read(&open(&data).await?, present(&journal))
                    .await
                    .map_err(Failure::other)?;
                say(&match json {
                    true => serde_json::to_string_pretty(&status).map_err(Failure::other)?,
                    false => status.to_string().trim_end().to_owned(),
                })?;
                Ok(ExitCode::SUCCESS)
            }
        }
    })
}

async fn verify(data: &Path, json: bool) -> Result<ExitCode, Failure> {
    let journal = journal_folder(data);
    let report = lake::verify(&open(data).await?, present(&journal))
        .await
        .map_err(Failure::other)?;
    let said = say(&match json {
        true => serde_json::to_string_pretty(&report).map_err(Failure::other)?,
        false => report.to_string().trim_end().to_owned(),
    });
    verdict(report.is_complete(), said.map_err(Failure::from))
}

async fn open(data: &Path) -> Result<Lake, Failure> {
    open_lake(data).await.map_err(Failure::other)
}

fn present(journal: &Path) -> Option<&Path> {
    Some(journal).filter(|dir| dir.is_dir())
}
