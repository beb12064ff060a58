//! Who the members are: peers that come, go, and lose their disks.

use std::time::Duration;

use tokio::time::sleep;
use z4_proto::Membership;

use super::Injector;
use crate::faults::Who;
use crate::harness::members::{add_as, info};
use crate::harness::wait::until;

impl Injector<'_> {
    pub(super) async fn replace(&mut self, who: Who, add_first: bool) {
        let old = self.find(who).await;
        if add_first {
            self.add().await;
            self.remove(&old).await;
        } else {
            self.remove(&old).await;
            self.add().await;
        }
    }

    async fn add(&mut self) {
        let id = self.cluster.start().await;
        self.cluster.ask_to_add(&id, 0).await;
        self.note(format!("  {id} is to be a member"));
        self.until_settled().await;
        self.note_joined(&id);
        self.aim();
    }

    fn note_joined(&mut self, id: &str) {
        let snapshots = self.cluster.member(id).peer.log().matches("a snapshot was received and installed").count();
        self.note(format!("  {id} is one, with snapshots of {snapshots} groups"));
    }

    async fn remove(&mut self, id: &str) {
        self.cluster.ask_to_remove(id, self.other_than(id)).await;
        self.note(format!("  {id} is to be a member no more"));
        let at = self.cluster.members.iter().position(|member| member.id == id).expect("such a peer");
        let mut gone = self.cluster.members.remove(at);
        self.until_settled().await;
        self.aim();
        gone.peer.kill().await;
    }

    /// The place of a peer that is asked in the stead of this one.
    fn other_than(&self, id: &str) -> usize {
        self.cluster.members.iter().position(|member| member.id != *id).expect("another one")
    }

    /// A disk is lost. Its peer may say nothing under the number that it had, and comes back under another one.
    pub(super) async fn empty(&mut self, who: Who, replace: bool, hold: Duration) {
        let id = self.find(who).await;
        let before = self.number(&id).await;
        let peer = &mut self.cluster.member(&id).peer;
        peer.kill().await;
        peer.empty();
        // Who is to make a cluster makes one, with a disk like this.
        peer.set("Z4_BOOTSTRAP_CLUSTER", "false");
        self.cluster.restart(&id).await;
        let peer = &self.cluster.member(&id).peer;
        until(&format!("{id}, whose disk is empty, is refused"), async || {
            peer.log().contains("add-peer --replace").then_some(())
        })
        .await;
        sleep(hold).await;
        assert!(!peer.peer_dir().join("identity.toml").exists(), "{id} has lost its disk and is nobody");
        assert_eq!(info(&self.cluster.client(&id)).await.membership(), Membership::NotYet, "{id} has lost its disk");
        self.note(format!("  {id} has lost its disk and is refused"));
        let through = self.other_than(&id);
        if replace {
            let address = self.cluster.member(&id).address.clone();
            let client = &self.cluster.members[through].client;
            until(&format!("{id} takes its own place"), async || add_as(client, &id, &address, "replace").await.ok()).await;
        } else {
            self.cluster.ask_to_remove(&id, through).await;
            let others: Vec<String> = self.cluster.ids().into_iter().filter(|other| *other != id).collect();
            self.cluster.until_voters(&others.iter().map(String::as_str).collect::<Vec<_>>()).await;
            self.cluster.ask_to_add(&id, through).await;
        }
        // Until a peer has heard of the new number it means the lost disk when it names this one.
        for member in &self.cluster.members {
            until(&format!("{} knows the new number of {id}", member.id), async || {
                let members = info(&member.client).await.members;
                members.iter().any(|member| member.id == id && member.number > before).then_some(())
            })
            .await;
        }
        self.until_settled().await;
        self.note_joined(&id);
    }

    /// The latest number of a member that anybody knows.
    async fn number(&self, id: &str) -> u64 {
        let mut number = 0;
        for member in &self.cluster.members {
            let members = info(&member.client).await.members;
            number = members.iter().filter(|member| member.id == id).map(|member| member.number).fold(number, u64::max);
        }
        number
    }

    /// Waits until every group has every member as a voter and nobody else.
    pub async fn until_settled(&self) {
        let mut ids = self.cluster.ids();
        ids.sort_unstable();
        self.cluster.until_voters(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
}
