//! `namespace get | set | list | purge | delete`.

use std::pin::pin;

use futures_util::TryStreamExt;
use serde::Serialize;
use z4_proto::{Namespace, NamespaceSettings};

use super::args::{NamespaceCommand, SettingArgs};
use super::error::ToolError;
use super::output::{Output, Show};
use super::views::{or_dash, printable, time};
use crate::client::Client;

/// The largest page that a peer gives.
const PAGE_NAMESPACES_MAX: u64 = 1_000;

/// Sends the request and prints the answer.
pub async fn execute(client: &Client, out: &mut Output, command: NamespaceCommand) -> Result<(), ToolError> {
    match command {
        NamespaceCommand::Get(args) => out.show(&NamespaceView::from(client.namespace(&args.namespace).await?)),
        NamespaceCommand::Set(args) => {
            let settings = args.settings.into();
            out.show(&NamespaceView::from(client.set_namespace(&args.namespace, settings).await?))
        }
        NamespaceCommand::List { limit } => list(client, out, limit).await,
        NamespaceCommand::Purge(args) => {
            let removed = client.purge(&args.namespace).await?;
            out.show(&PurgedView { namespace: args.namespace, removed })
        }
        NamespaceCommand::Delete(args) => {
            let existed = client.delete_namespace(&args.namespace).await?;
            out.show(&DeletedView { namespace: args.namespace, existed })
        }
    }
}

async fn list(client: &Client, out: &mut Output, limit: u64) -> Result<(), ToolError> {
    let mut left = if limit == 0 { u64::MAX } else { limit };
    let page_size = u32::try_from(left.min(PAGE_NAMESPACES_MAX)).unwrap_or(1);
    let mut pages = pin!(client.namespaces(page_size));
    let mut first = true;
    while left > 0
        && let Some(page) = pages.try_next().await?
    {
        if std::mem::take(&mut first) {
            out.header(NamespaceRow::HEADER)?;
        }
        for namespace in page.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            left -= 1;
            out.show(&NamespaceRow(NamespaceView::from(namespace)))?;
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct NamespaceView {
    name: String,
    group: u32,
    created_at: Option<String>,
    live: u64,
    leased: u64,
    dead: u64,
    settings: SettingsView,
}

/// `None` where the peer did not say.
#[derive(Serialize)]
struct SettingsView {
    lease_ms: Option<u32>,
    max_attempts: Option<u32>,
    backoff_first_ms: Option<u64>,
    backoff_factor: Option<f64>,
    backoff_ceiling_ms: Option<u64>,
    backoff_jitter: Option<f64>,
    paused: Option<bool>,
    idempotency_window_ms: Option<u64>,
}

impl From<Namespace> for NamespaceView {
    fn from(namespace: Namespace) -> Self {
        let settings = namespace.settings.unwrap_or_default();
        NamespaceView {
            created_at: time(&namespace.created_at),
            name: namespace.name,
            group: namespace.group,
            live: namespace.live,
            leased: namespace.leased,
            dead: namespace.dead,
            settings: SettingsView {
                lease_ms: settings.lease_ms,
                max_attempts: settings.max_attempts,
                backoff_first_ms: settings.backoff_first_ms,
                backoff_factor: settings.backoff_factor,
                backoff_ceiling_ms: settings.backoff_ceiling_ms,
                backoff_jitter: settings.backoff_jitter,
                paused: settings.paused,
                idempotency_window_ms: settings.idempotency_window_ms,
            },
        }
    }
}

impl From<SettingArgs> for NamespaceSettings {
    fn from(args: SettingArgs) -> Self {
        NamespaceSettings {
            lease_ms: args.lease_ms,
            max_attempts: args.max_attempts,
            backoff_first_ms: args.backoff_first_ms,
            backoff_factor: args.backoff_factor,
            backoff_ceiling_ms: args.backoff_ceiling_ms,
            backoff_jitter: args.backoff_jitter,
            paused: args.paused,
            idempotency_window_ms: args.idempotency_window_ms,
        }
    }
}

impl Show for NamespaceView {
    fn human(&self) -> String {
        fn setting<T: ToString>(value: Option<T>) -> String {
            value.map_or("-".to_owned(), |value| value.to_string())
        }
        let s = &self.settings;
        let rows = [
            ("name", printable(&self.name)),
            ("group", self.group.to_string()),
            ("created", or_dash(&self.created_at).to_owned()),
            ("live", self.live.to_string()),
            ("leased", self.leased.to_string()),
            ("dead", self.dead.to_string()),
            ("lease_ms", setting(s.lease_ms)),
            ("max_attempts", setting(s.max_attempts)),
            ("backoff_first_ms", setting(s.backoff_first_ms)),
            ("backoff_factor", setting(s.backoff_factor)),
            ("backoff_ceiling_ms", setting(s.backoff_ceiling_ms)),
            ("backoff_jitter", setting(s.backoff_jitter)),
            ("paused", setting(s.paused)),
            ("idempotency_window_ms", setting(s.idempotency_window_ms)),
        ];
        rows.map(|(name, value)| format!("{name:21}  {value}")).join("\n")
    }
}

/// A namespace as a row of a list. Its name has up to 255 bytes, so it comes last.
#[derive(Serialize)]
#[serde(transparent)]
struct NamespaceRow(NamespaceView);

impl NamespaceRow {
    const HEADER: &str = "GROUP        LIVE      LEASED        DEAD  PAUSED  NAME";
}

impl Show for NamespaceRow {
    fn human(&self) -> String {
        let NamespaceRow(n) = self;
        let paused = if n.settings.paused == Some(true) { "yes" } else { "no" };
        format!("{:>5}  {:>10}  {:>10}  {:>10}  {paused:>6}  {}", n.group, n.live, n.leased, n.dead, printable(&n.name))
    }
}

#[derive(Serialize)]
struct PurgedView {
    namespace: String,
    removed: u64,
}

impl Show for PurgedView {
    fn human(&self) -> String {
        format!("removed {} tasks from {}", self.removed, printable(&self.namespace))
    }
}

#[derive(Serialize)]
struct DeletedView {
    namespace: String,
    existed: bool,
}

impl Show for DeletedView {
    fn human(&self) -> String {
        let what = if self.existed { "deleted" } else { "there was no" };
        format!("{what} {}", printable(&self.namespace))
    }
}
