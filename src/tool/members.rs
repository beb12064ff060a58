//! `add-peer` and `remove-peer`: the wish, and the wait until every group has followed it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::Code;
use z4_proto::Membership;

use super::args::{AddArgs, WaitArgs};
use super::error::ToolError;
use super::info::ask;
use super::output::{Output, Show};
use super::progress::{Goal, Progress};
use crate::client::{Adding, Client};

/// Between two looks at the groups.
const INTERVAL: Duration = Duration::from_millis(250);
/// Between two lines when nothing but the lag has changed.
const LINES_EVERY: Duration = Duration::from_secs(2);

/// A change of the membership.
#[derive(Serialize)]
struct Change {
    change: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
}

impl Show for Change {
    fn human(&self) -> String {
        match self.change {
            "adding" | "removing" => format!("{} peer {}", self.change, self.id),
            done => format!("peer {done}"),
        }
    }
}

/// What `add-peer` needs: address and id. The flags are global, so the parser cannot require them for one subcommand.
pub fn addition(peer: Option<String>, id: Option<String>) -> Result<(String, String), ToolError> {
    match (peer, id) {
        (Some(peer), Some(id)) => Ok((peer, id)),
        _ => Err(ToolError::Usage("add-peer needs --peer HOST:PORT and --id ID".to_owned())),
    }
}

/// What `remove-peer` needs.
pub fn removal(id: Option<String>) -> Result<String, ToolError> {
    id.ok_or_else(|| ToolError::Usage("remove-peer needs --id ID".to_owned()))
}

/// Adds a peer to the cluster.
pub async fn add(
    client: &Client,
    out: &mut Output,
    targets: &[String],
    (address, id): (String, String),
    how: &AddArgs,
) -> Result<(), ToolError> {
    let mut watch = Watch::new(client, targets, Goal::Added, &id);
    watch.look().await;
    let adding = Adding { force: how.force, replace: how.replace };
    match client.add_member_as(&id, &address, adding).await {
        // The answer to an earlier attempt got lost, and this one finds what that one did.
        Err(error) if !(error.code() == Code::AlreadyExists && error.may_be_done()) => return Err(error.into()),
        _ => {}
    }
    let wait = &how.wait;
    if !wait.no_wait {
        watch.wait(wait.wait).await?;
    }
    out.show(&Change { change: if wait.no_wait { "adding" } else { "added" }, id, address: Some(address) })
}

/// Removes a peer from the cluster.
pub async fn remove(client: &Client, out: &mut Output, targets: &[String], id: String, wait: &WaitArgs) -> Result<(), ToolError> {
    let mut watch = Watch::new(client, targets, Goal::Removed, &id);
    // The peer to remove may be the target: who else can be asked is learned before.
    watch.look().await;
    match client.remove_member(&id).await {
        Err(error) if !(error.code() == Code::NotFound && error.may_be_done()) => return Err(error.into()),
        _ => {}
    }
    if !wait.no_wait {
        watch.wait(wait.wait).await?;
    }
    out.show(&Change { change: if wait.no_wait { "removing" } else { "removed" }, id, address: None })
}

/// Watches the groups through every peer that answers.
struct Watch<'a> {
    client: &'a Client,
    goal: Goal,
    id: &'a str,
    /// The targets, and every member that a peer named.
    addresses: BTreeSet<String>,
    /// The most groups that were ever told of: who answers now may know only some of them.
    groups: usize,
}

impl<'a> Watch<'a> {
    fn new(client: &'a Client, targets: &[String], goal: Goal, id: &'a str) -> Self {
        Watch { client, goal, id, addresses: targets.iter().cloned().collect(), groups: 0 }
    }

    /// Asks everyone and learns who there is.
    async fn look(&mut self) -> Progress {
        let told = ask(self.client, self.addresses.iter().map(String::as_str)).await;
        let members = told.iter().filter(|info| info.membership() != Membership::NotYet).flat_map(|info| &info.members);
        let services = members.map(|member| member.service_address.clone()).filter(|address| !address.is_empty());
        self.addresses.extend(services);
        let progress = Progress::of(self.goal, self.id, &told);
        self.groups = self.groups.max(progress.groups);
        progress
    }

    /// Waits until every group is there. Says on stderr how far it is, whenever that changes.
    async fn wait(mut self, patience: Duration) -> Result<(), ToolError> {
        let until = Instant::now() + patience;
        let mut said: Option<(Progress, Instant)> = None;
        loop {
            if let Ok(progress) = timeout_at(until, self.look()).await {
                if progress.is_done() && progress.groups == self.groups {
                    return Ok(());
                }
                if said.as_ref().is_none_or(|(before, at)| is_news(before, &progress, at.elapsed())) {
                    eprintln!("{}", progress.line(self.goal, self.id));
                    said = Some((progress, Instant::now()));
                }
            }
            if Instant::now() + INTERVAL > until {
                return Err(unfinished(self.goal, self.id, patience, said.map(|(progress, _)| progress)));
            }
            sleep(INTERVAL).await;
        }
    }
}

/// A group more, or another reason why not, is told at once; a lag that shrinks now and then.
fn is_news(before: &Progress, now: &Progress, since: Duration) -> bool {
    let steps = |p: &Progress| (p.groups, p.missing.len(), p.connection_error.clone());
    steps(before) != steps(now) || before.lag != now.lag && since >= LINES_EVERY
}

fn unfinished(goal: Goal, id: &str, patience: Duration, last: Option<Progress>) -> ToolError {
    let last = last.unwrap_or_default();
    let missing = last.missing.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let what = match goal {
        _ if last.groups == 0 => "no member of the cluster answers".to_owned(),
        Goal::Added => format!("{id} is not a voter of: group {missing}"),
        Goal::Removed => format!("{id} still has a replica of: group {missing}"),
    };
    let why = if last.connection_error.is_empty() { String::new() } else { format!(" ({})", last.connection_error) };
    let text = format!("waited {patience:?} (--wait), and {what}{why}; the cluster took the change and goes on with it");
    ToolError::Unfinished(text)
}
