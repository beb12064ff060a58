//! The client with which the tool talks to its targets.

use std::time::Duration;

use super::error::ToolError;
use crate::client::Client;

/// A client for the targets and nobody else: who asks one peer wants to hear that one.
pub fn connect(targets: &[String], timeout: Duration) -> Result<Client, ToolError> {
    // One peer that keeps silent leaves time for the others.
    let share = timeout / u32::try_from(targets.len()).unwrap_or(1).max(1);
    let builder = Client::builder().timeout(timeout).attempt_timeout(share).connect_timeout(share);
    Ok(builder.learn_addresses(false).wait_for_peers(false).connect(targets)?)
}
