//! The end of a run: the load stops, everything that is due is consumed, and what is left is looked at.

use crate::harness::Client;
use crate::harness::members::state_hash;
use crate::harness::wait::{until, within};
use crate::history::What;
use crate::inject::Injector;
use crate::load::{CONSUMED, EARLY, KEPT, number_of};

impl Injector<'_> {
    /// Waits until every peer serves everything again, and everything that was due was consumed; then records what is left.
    pub async fn finish(&mut self) {
        self.cluster.network.heal();
        self.until_settled().await;
        self.load.wild.set(false);
        // There may be hundreds.
        let mut left = self.load.unanswered();
        while left > 0 {
            let what = format!("one more of {left} creates with a request id is answered");
            left = until(&what, async || Some(self.load.unanswered()).filter(|now| *now < left)).await;
        }
        let client = self.cluster.members[0].client.clone();
        for namespace in CONSUMED {
            until(&format!("{namespace} is empty"), async || {
                (client.try_namespace(namespace).await.ok()?.live == 0).then_some(())
            })
            .await;
        }
        self.load.consuming.set(false);
    }

    /// Records what is left, by the word of one peer, and the states of all. The load has ended.
    pub async fn look(&self) {
        let record = |peer: &str, what| self.load.recorder.borrow_mut().record(peer, what);
        let first = &self.cluster.members[0];
        record(&first.id, What::Ended);
        for namespace in CONSUMED.into_iter().chain(EARLY).chain([KEPT]) {
            for task in within("a list", first.client.list_all(namespace)).await {
                record(&first.id, What::Listed { number: number_of(&task), id: task.id });
            }
        }
        for group in 0..=2 {
            until(&format!("every replica of group {group} has applied the same"), async || {
                let mut indexes = Vec::new();
                for member in &self.cluster.members {
                    let (index, hash) = state(&member.client, group).await?;
                    record(&member.id, What::State { group, index, hash });
                    indexes.push(index);
                }
                indexes.iter().all(|index| *index == indexes[0]).then_some(())
            })
            .await;
        }
    }
}

async fn state(client: &Client, group: u32) -> Option<(u64, u64)> {
    let state = state_hash(client, group).await.ok()?;
    Some((state.applied_index, state.hash))
}
