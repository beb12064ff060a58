//! Does what was planned to a cluster, and undoes it.

mod machines;
mod members;
mod restarts;

use std::time::Duration;

use z4_proto::RebalanceRequest;

use crate::faults::{Fault, Step, Who};
use crate::harness::cluster::Cluster;
use crate::harness::dial::Dial;
use crate::harness::members::{info, transfer};
use crate::harness::network::Way;
use crate::harness::wait::{until, within};
use crate::history::What;
use crate::load::{Load, Target};

/// A cluster under load, and its faults.
pub struct Injector<'a> {
    pub cluster: Cluster,
    pub load: &'a Load,
    /// How wrong the peers' clocks are.
    pub clocks: Dial,
    /// How slow their disks are.
    pub disks: Dial,
}

impl Injector<'_> {
    /// Has the load talk to every peer that is a member.
    pub fn aim(&self) {
        self.load.set_targets(self.cluster.ids().iter().map(|id| self.target(id)).collect());
    }

    fn target(&self, id: &str) -> Target {
        let member = self.cluster.members.iter().find(|member| member.id == id).expect("such a peer");
        Target { id: id.to_owned(), address: member.peer.address(), client: member.client.clone() }
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
        match step.fault {
            Fault::Isolate(..) | Fault::Deafen { .. } | Fault::Part { .. } | Fault::IsolateAll(_) => {
                self.cut(step.fault, &ids).await;
                tokio::time::sleep(step.hold).await;
            }
            Fault::BreakAll => self.cluster.network.break_all(),
            fault => self.fault(fault, step.hold).await,
        }
        self.cluster.network.heal();
        for member in &mut self.cluster.members {
            assert!(member.peer.exited().is_none(), "{} ended by itself", member.id);
        }
    }

    /// Ways between peers are closed, until the network is healed.
    async fn cut(&self, fault: Fault, ids: &[String]) {
        let network = &self.cluster.network;
        match fault {
            Fault::Isolate(who, passage) => network.set_around(&self.find(who).await, ids, Way::with(passage)),
            Fault::Deafen { who, inbound, passage } => {
                let id = self.find(who).await;
                for other in ids.iter().filter(|other| **other != id) {
                    let (from, to) = if inbound { (other, &id) } else { (&id, other) };
                    network.set(from, to, Way::with(passage));
                }
            }
            Fault::Part { leader_of, passage } => {
                let id = self.find(Who::LeaderOf(leader_of)).await;
                let other = ids.iter().find(|other| **other != id).expect("another one");
                network.set_between(&id, other, Way::with(passage));
            }
            Fault::IsolateAll(passage) => ids.iter().for_each(|id| network.set_around(id, ids, Way::with(passage))),
            _ => {}
        }
    }

    /// Everything else that is done, and undone after a while.
    async fn fault(&mut self, fault: Fault, hold: Duration) {
        match fault {
            Fault::Kill(who) => self.kill(who, hold).await,
            Fault::KillAll => self.kill_all().await,
            Fault::Pause(who) => self.pause(who, hold).await,
            Fault::Restart(who) => self.restart(who).await,
            Fault::Boot(who) => self.boot_under_consumers(who, hold).await,
            Fault::Roll => self.restart_in_turn(hold).await,
            Fault::Replace { who, add_first } => self.replace(who, add_first).await,
            Fault::Empty { who, replace } => self.empty(who, replace, hold).await,
            Fault::Clock { who, by_ms, down } => self.set_clock(who, by_ms, down, hold).await,
            Fault::Slow { who, by_ms } => self.slow_down(who, by_ms, hold).await,
            Fault::Transfer { group, to } => {
                let to = self.find(to).await;
                let client = &self.cluster.members[0].client;
                // It may be refused: leaders change anyway.
                let told = transfer(client, group, &to).await.map_err(|status| status.to_string());
                self.note(format!("  group {group} to {to}: {told:?}"));
                tokio::time::sleep(hold).await;
            }
            Fault::Rebalance => {
                let client = &self.cluster.members[0].client;
                let _ = within("Rebalance", client.admin.clone().rebalance(RebalanceRequest {})).await;
                tokio::time::sleep(hold).await;
            }
            Fault::Isolate(..) | Fault::Deafen { .. } | Fault::Part { .. } | Fault::IsolateAll(_) | Fault::BreakAll => {}
        }
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
