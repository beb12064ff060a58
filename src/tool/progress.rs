//! How far the groups are with a change of the membership, from what the peers say. Pure: nobody is asked from here.

use std::collections::BTreeMap;

use z4_proto::{ClusterInfo, Group, Membership};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The peer is a voter of every group.
    Added,
    /// The peer has no replica of any group.
    Removed,
}

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Groups in all, as far as peers told.
    pub groups: usize,
    /// The groups that are not there yet, in their order.
    pub missing: Vec<u32>,
    /// The most entries that a replica of the new peer lacks, when a leader told.
    pub lag: Option<u64>,
    /// Why the new peer cannot be reached, when a peer told.
    pub connection_error: String,
}

impl Progress {
    /// Reads it out of the answers of any number of peers.
    pub fn of(goal: Goal, id: &str, told: &[ClusterInfo]) -> Self {
        let outside = [Membership::NotYet, Membership::Removed];
        // A peer that is not, or not long, a member does not know the groups; one that is removed may be the last to hear of it.
        let members = told.iter().filter(|info| !outside.contains(&info.membership()));
        let (own, mut told): (Vec<&ClusterInfo>, Vec<&ClusterInfo>) = members.partition(|info| info.server_id == id);
        if told.is_empty() && goal == Goal::Added {
            // Unless it is the whole cluster: nobody else could tell.
            told.extend(own.into_iter().filter(|info| info.members.len() == 1 && info.members[0].id == id));
        }
        // Who has not heard that another disk has the id now speaks of the one before.
        let number = |info: &ClusterInfo| info.members.iter().filter(|member| member.id == id).map(|member| member.number).max();
        let newest = told.iter().filter_map(|info| number(info)).max();
        let told: Vec<_> = told.into_iter().filter(|info| number(info).is_none_or(|number| Some(number) == newest)).collect();
        let mut best: BTreeMap<u32, (&ClusterInfo, &Group)> = BTreeMap::new();
        for (info, group) in told.iter().flat_map(|info| info.groups.iter().map(|group| (*info, group))) {
            let better = best.get(&group.id).is_none_or(|(other, known)| rank(info, group) > rank(other, known));
            if better {
                best.insert(group.id, (info, group));
            }
        }
        let missing = best.values().map(|(_, group)| *group).filter(|group| !reached(goal, id, group));
        let lags = best.values().flat_map(|(_, group)| &group.replicas).filter(|replica| replica.peer_id == id);
        let errors = told.iter().flat_map(|info| &info.members).filter(|member| member.id == id && !member.connected);
        Progress {
            groups: best.len(),
            missing: missing.map(|group| group.id).collect(),
            lag: lags.filter_map(|replica| replica.lag).max(),
            connection_error: errors.map(|member| member.connection_error.clone()).find(|e| !e.is_empty()).unwrap_or_default(),
        }
    }

    /// Every group is there.
    pub fn is_done(&self) -> bool {
        self.groups > 0 && self.missing.is_empty()
    }

    /// The line for who watches.
    pub fn line(&self, goal: Goal, id: &str) -> String {
        if self.groups == 0 {
            return "no member of the cluster answers".to_owned();
        }
        let what = match goal {
            Goal::Added => "has it as a voter",
            Goal::Removed => "is without it",
        };
        let mut line = format!("{id}: {} of {} groups {what}", self.groups - self.missing.len(), self.groups);
        if goal == Goal::Added {
            line = line.replace("groups has", "groups have");
            if let Some(lag) = self.lag.filter(|lag| *lag > 0) {
                line += &format!(", {lag} entries behind");
            }
            if !self.connection_error.is_empty() {
                line += &format!(", not connected: {}", self.connection_error);
            }
        } else {
            line = line.replace("groups is", "groups are");
        }
        line
    }
}

/// A leader knows best, then who has heard of the latest leader and has the longest log.
fn rank(info: &ClusterInfo, group: &Group) -> (u64, bool, u64) {
    (group.term, group.leader == info.server_id, group.last_log_index)
}

fn reached(goal: Goal, id: &str, group: &Group) -> bool {
    let mut replicas = group.replicas.iter().filter(|replica| replica.peer_id == id);
    let voter_by_name = || group.members.iter().any(|member| member == id);
    match goal {
        Goal::Added if group.replicas.is_empty() => voter_by_name(),
        // A short log makes a voter of a replica that has nothing of it yet.
        Goal::Added => replicas.any(|replica| replica.voter && replica.matched_index != Some(0)),
        Goal::Removed => replicas.next().is_none() && !voter_by_name(),
    }
}

#[cfg(test)]
mod tests {
    //! "Added" that is said too early lets an operator stop the only other copy.
    use z4_proto::{Replica, Server};

    use super::*;

    /// A group as a peer sees it: term, leader, and replicas with their lag, learners in brackets.
    fn group(id: u32, term: u64, leader: &str, replicas: &[(&str, Option<u64>)]) -> Group {
        let replica = |(name, lag): &(&str, Option<u64>)| Replica {
            peer_id: name.trim_matches(['(', ')']).into(),
            voter: !name.starts_with('('),
            matched_index: None,
            lag: *lag,
        };
        Group { id, term, leader: leader.into(), replicas: replicas.iter().map(replica).collect(), ..Group::default() }
    }

    fn info(id: &str, groups: Vec<Group>) -> ClusterInfo {
        ClusterInfo { server_id: id.into(), groups, membership: Membership::Member.into(), ..ClusterInfo::default() }
    }

    #[test]
    fn added_means_a_voter_of_every_group_by_the_word_of_its_leader() {
        // b leads group 1 and knows that c learns; a heard something older.
        let a =
            info("a", vec![group(0, 3, "a", &[("a", Some(0)), ("c", Some(5))]), group(1, 2, "a", &[("a", None), ("c", None)])]);
        let b = info("b", vec![group(1, 3, "b", &[("a", Some(0)), ("(c)", Some(70))])]);
        let progress = Progress::of(Goal::Added, "c", &[a.clone(), b]);
        assert_eq!((progress.groups, &*progress.missing, progress.lag), (2, &[1][..], Some(70)));
        assert_eq!(progress.line(Goal::Added, "c"), "c: 1 of 2 groups have it as a voter, 70 entries behind");
        assert!(!progress.is_done());
        let b = info("b", vec![group(1, 4, "b", &[("a", Some(0)), ("c", Some(0))])]);
        assert!(Progress::of(Goal::Added, "c", &[a, b]).is_done());
    }

    /// While a disk is replaced, who has not heard of it yet names the old one by the same id.
    #[test]
    fn the_vote_of_a_disk_that_is_replaced_does_not_count() {
        let server = |number| Server { id: "c".into(), number, ..Server::default() };
        let mut old = info("a", vec![group(1, 4, "a", &[("a", Some(0)), ("c", Some(0))])]);
        old.members.push(server(3));
        let mut new = info("b", vec![group(1, 3, "a", &[("a", None), ("c#3", None), ("(c)", None)])]);
        new.members.push(server(4));
        assert!(Progress::of(Goal::Added, "c", &[old.clone()]).is_done());
        assert_eq!(Progress::of(Goal::Added, "c", &[old, new]).missing, [1]);
    }

    #[test]
    fn a_voter_that_has_nothing_yet_does_not_count() {
        let mut a = info("a", vec![group(0, 3, "a", &[("a", Some(0)), ("c", Some(2))])]);
        a.groups[0].replicas[1].matched_index = Some(0);
        assert_eq!(Progress::of(Goal::Added, "c", &[a.clone()]).missing, [0]);
        a.groups[0].replicas[1].matched_index = Some(1);
        assert!(Progress::of(Goal::Added, "c", &[a]).is_done());
    }

    #[test]
    fn a_leader_is_believed_before_a_follower_of_the_same_term() {
        let follower = info("a", vec![Group { last_log_index: 9, ..group(1, 3, "b", &[("c", None)]) }]);
        let leader = info("b", vec![group(1, 3, "b", &[("(c)", Some(1))])]);
        assert_eq!(Progress::of(Goal::Added, "c", &[follower, leader]).missing, [1]);
    }

    #[test]
    fn the_new_peer_itself_is_not_asked_and_why_it_is_not_there_is_told() {
        let alone = info("c", vec![group(0, 9, "c", &[("c", None)])]);
        let mut a = info("a", vec![group(0, 3, "a", &[("a", Some(0))])]);
        let error = "127.0.0.1:1: refused".to_owned();
        a.members = vec![Server { id: "c".into(), connection_error: error, ..Server::default() }];
        let progress = Progress::of(Goal::Added, "c", &[alone, a]);
        assert_eq!(progress.line(Goal::Added, "c"), "c: 0 of 1 groups have it as a voter, not connected: 127.0.0.1:1: refused");
    }

    /// A script that adds every peer, the first one too, would wait for ever.
    #[test]
    fn the_only_member_speaks_for_itself() {
        let mut only = info("a", vec![group(0, 3, "a", &[("a", Some(0))])]);
        only.members = vec![Server { id: "a".into(), ..Server::default() }];
        assert!(Progress::of(Goal::Added, "a", &[only.clone()]).is_done());
        only.members.push(Server { id: "b".into(), ..Server::default() });
        assert!(!Progress::of(Goal::Added, "a", &[only]).is_done(), "b knows better");
    }

    #[test]
    fn removed_means_in_no_group_by_the_word_of_others() {
        let a = |replicas| info("a", vec![group(0, 3, "a", replicas)]);
        assert_eq!(Progress::of(Goal::Removed, "c", &[a(&[("a", None), ("(c)", None)])]).missing, [0]);
        let c = info("c", vec![group(0, 3, "a", &[("a", None), ("c", None)])]);
        assert!(Progress::of(Goal::Removed, "c", &[a(&[("a", None)]), c]).is_done());
        let removed = ClusterInfo { membership: Membership::Removed.into(), ..info("c", vec![]) };
        assert!(!Progress::of(Goal::Removed, "c", &[removed]).is_done(), "nobody has said anything");
    }
}
