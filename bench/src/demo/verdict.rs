//! The end of the demo: created = delivered at least once = gone from the store, and nothing before its time.

use std::time::Duration;

use tonic::transport::Channel;
use z4_proto::collection_client::CollectionClient;
use z4_proto::{GetNamespaceRequest, ListTasksRequest};

use super::ledger::Counts;
use crate::clock::Origin;
use crate::error::{Error, Result};

/// What the peer still has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Scheduled, ready or leased, as the namespaces count them.
    pub live: u64,
    /// Dead, as the namespaces count them.
    pub dead: u64,
    /// Tasks that ListTasks still lists.
    pub listed: u64,
}

/// Asks the peer what is left in the namespaces.
pub async fn left(channel: &Channel, namespaces: &[String]) -> Result<Left> {
    let mut client = CollectionClient::new(channel.clone());
    let mut left = Left::default();
    for namespace in namespaces {
        let request = GetNamespaceRequest { namespace: namespace.clone() };
        let about = client.get_namespace(request).await.map_err(Error::call("GetNamespace"))?.into_inner();
        left.live += about.live;
        left.dead += about.dead;
        let mut request = ListTasksRequest {
            namespace: namespace.clone(),
            page_size: 1_000,
            omit_payload: true,
            ..ListTasksRequest::default()
        };
        loop {
            let page = client.list_tasks(request.clone()).await.map_err(Error::call("ListTasks"))?.into_inner();
            left.listed += page.tasks.len() as u64;
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
    }
    Ok(left)
}

/// Waits until nothing is left, or until `patience` is over; says what is left then.
pub async fn drained(channel: &Channel, namespaces: &[String], patience: Duration) -> Result<Left> {
    let clock = Origin::start();
    loop {
        let left = left(channel, namespaces).await?;
        if left == Left::default() || clock.elapsed() > patience {
            return Ok(left);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What does not hold; empty when the demo kept its promises.
pub fn broken(counts: &Counts, left: &Left) -> Vec<String> {
    let promises = [
        (counts.created == counts.reminders, format!("{} of {} creates were acknowledged", counts.created, counts.reminders)),
        (counts.tasks == counts.created, format!("{} creates made {} tasks", counts.created, counts.tasks)),
        (counts.delivered == counts.reminders, format!("{} of {} were delivered", counts.delivered, counts.reminders)),
        (counts.early == 0, format!("{} were delivered before their time", counts.early)),
        (counts.unknown == 0, format!("{} deliveries were of tasks that nobody created", counts.unknown)),
        (left.live == 0, format!("{} are still live", left.live)),
        (left.dead == 0, format!("{} are dead", left.dead)),
        (left.listed == 0, format!("{} are still listed", left.listed)),
    ];
    promises.into_iter().filter(|(holds, _)| !holds).map(|(_, problem)| problem).collect()
}

#[cfg(test)]
mod tests {
    //! The verdict must fail for each promise alone: a demo that cannot fail shows nothing.
    use super::*;

    #[test]
    fn each_promise_can_be_broken_alone() {
        let good = Counts { reminders: 9, created: 9, tasks: 9, delivered: 9, acknowledged: 9, again: 2, ..Counts::default() };
        assert!(broken(&good, &Left::default()).is_empty(), "redeliveries are allowed");
        for counts in [
            Counts { created: 8, tasks: 8, ..good },
            Counts { tasks: 8, ..good },
            Counts { delivered: 8, ..good },
            Counts { early: 1, ..good },
            Counts { unknown: 1, ..good },
        ] {
            assert_eq!(broken(&counts, &Left::default()).len(), 1, "{counts:?}");
        }
        for (live, dead, listed) in [(1, 0, 0), (0, 1, 0), (0, 0, 1)] {
            assert_eq!(broken(&good, &Left { live, dead, listed }).len(), 1);
        }
    }
}
