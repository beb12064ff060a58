//! Does what was planned to a cluster, and undoes it.

use z4_proto::RebalanceRequest;

use crate::faults::{Fault, Step, Who};
use crate::harness::cluster::Cluster;
use crate::harness::members::{info, transfer};
use crate::harness::network::Way;
use crate::harness::wait::{until, within};
use crate::history::What;
use crate::load::{Load, Target};

/// A cluster under load, and its faults.
pub struct Injector<'a> {
    pub cluster: Cluster,
    pub load: &'a Load,
}

impl Injector<'_> {
    /// Has the load talk to every peer that is a member.
    pub fn aim(&self) {
        let target = |member: &crate::harness::cluster::Member| Target { id: member.id.clone(), client: member.client.clone() };
        self.load.set_targets(self.cluster.members.iter().map(target).collect());
    }

    fn note(&self, text: String) {
        println!("{text}");
        self.load.recorder.borrow_mut().record("", What::Fault { text });
    }

    /// One step, begun and undone.
    pub async fn step(&mut self, step: &Step) {
        tokio::time::sleep(step.pause).await;
        let ids = self.cluster.ids();
        let weather = if step.weather == Way::default() { String::new() } else { format!(" while {:?}", step.weather) };
        self.note(format!("{:?} for {} ms{weather}", step.fault, step.hold.as_millis()));
        for (n, id) in ids.iter().enumerate() {
            ids[n + 1..].iter().for_each(|other| self.cluster.network.set_between(id, other, step.weather));
        }
        self.fault(step, &ids).await;
        self.cluster.network.heal();
        for member in &mut self.cluster.members {
            assert!(member.peer.exited().is_none(), "{} ended by itself", member.id);
        }
    }

    async fn fault(&mut self, step: &Step, ids: &[String]) {
        let hold = || tokio::time::sleep(step.hold);
        match step.fault {
            Fault::Kill(who) => {
                let id = self.find(who).await;
                self.cluster.member(&id).peer.kill().await;
                hold().await;
                self.cluster.restart(&id).await;
            }
            Fault::KillAll => {
                for member in &mut self.cluster.members {
                    member.peer.kill().await;
                }
                for id in ids {
                    self.cluster.restart(id).await;
                }
            }
            Fault::Pause(who) => {
                let id = self.find(who).await;
                self.cluster.member(&id).peer.signal("STOP");
                hold().await;
                self.cluster.member(&id).peer.signal("CONT");
            }
            Fault::Restart(who) => {
                let id = self.find(who).await;
                let status = self.cluster.member(&id).peer.terminate().await;
                assert_eq!(status.code(), Some(0), "{id} ends cleanly");
                self.cluster.restart(&id).await;
            }
            Fault::Isolate(who, passage) => {
                let id = self.find(who).await;
                self.cluster.network.set_around(&id, ids, Way::with(passage));
                hold().await;
            }
            Fault::Deafen { who, inbound, passage } => {
                let id = self.find(who).await;
                for other in ids.iter().filter(|other| **other != id) {
                    let (from, to) = if inbound { (other, &id) } else { (&id, other) };
                    self.cluster.network.set(from, to, Way::with(passage));
                }
                hold().await;
            }
            Fault::Part { leader_of, passage } => {
                let id = self.find(Who::LeaderOf(leader_of)).await;
                let other = ids.iter().find(|other| **other != id).expect("another one");
                self.cluster.network.set_between(&id, other, Way::with(passage));
                hold().await;
            }
            Fault::IsolateAll(passage) => {
                ids.iter().for_each(|id| self.cluster.network.set_around(id, ids, Way::with(passage)));
                hold().await;
            }
            Fault::BreakAll => self.cluster.network.break_all(),
            Fault::Replace { who, add_first } => self.replace(who, add_first).await,
            Fault::Transfer { group, to } => {
                let to = self.find(to).await;
                let client = self.cluster.client(&ids[0]);
                // It may be refused: leaders change anyway.
                let told = transfer(&client, group, &to).await.map_err(|status| status.to_string());
                self.note(format!("  group {group} to {to}: {told:?}"));
                hold().await;
            }
            Fault::Rebalance => {
                let client = self.cluster.client(&ids[0]);
                let _ = within("Rebalance", client.admin.clone().rebalance(RebalanceRequest {})).await;
                hold().await;
            }
        }
    }

    async fn replace(&mut self, who: Who, add_first: bool) {
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
        let snapshots = self.cluster.member(&id).peer.log().matches("a snapshot was received and installed").count();
        self.note(format!("  {id} is one, with snapshots of {snapshots} groups"));
        self.aim();
    }

    async fn remove(&mut self, id: &str) {
        // Asked of one that stays.
        let through = self.cluster.members.iter().position(|member| member.id != *id).expect("another one");
        self.cluster.ask_to_remove(id, through).await;
        self.note(format!("  {id} is to be a member no more"));
        let at = self.cluster.members.iter().position(|member| member.id == id).expect("such a peer");
        let mut gone = self.cluster.members.remove(at);
        self.until_settled().await;
        self.aim();
        gone.peer.kill().await;
    }

    /// Waits until every group has every member as a voter and nobody else.
    pub async fn until_settled(&self) {
        let ids = self.cluster.ids();
        let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        ids.sort_unstable();
        self.cluster.until_voters(&ids).await;
    }

    async fn find(&self, who: Who) -> String {
        let members = &self.cluster.members;
        let id = match who {
            Who::Nth(n) => members[n % members.len()].id.clone(),
            Who::LeaderOf(group) => {
                until(&format!("group {group} is led"), async || {
                    let mut leader = None;
                    for member in members {
                        let seen = info(&member.client).await;
                        leader = leader.or(seen.groups.iter().any(|g| g.id == group && g.serves).then(|| member.id.clone()));
                    }
                    leader
                })
                .await
            }
        };
        self.note(format!("  {who:?} is {id}"));
        id
    }
}
