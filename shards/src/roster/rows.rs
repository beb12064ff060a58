//! The registry's rows, read.

use bytes::Bytes;
use z4_model::ids::{GroupId, PeerNumber};
use z4_model::rows::incarnation::{self, Incarnation};
use z4_model::rows::peer_row::{self, PeerRow};
use z4_model::rows::registry;

use super::{Member, Roster};

/// What the registry says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    /// Who is in the cluster.
    pub roster: Roster,
    /// The group of each slot; `None`: it is not there yet.
    pub slots: Option<Vec<GroupId>>,
    /// How often peers' rows were changed; `None`: there is none yet.
    pub revision: Option<u64>,
}

/// A row that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("the registry's row {name:?} cannot be understood; was it written by a newer z4?")]
pub struct RowError {
    /// Its name.
    pub name: String,
}

impl Registry {
    /// Reads all rows of the registry, in whatever order; those that it does not know are left alone.
    pub fn from_rows(rows: &[(Bytes, Bytes)]) -> Result<Self, RowError> {
        let mut found = Registry::default();
        for (name, row) in rows {
            found.take(name, row).ok_or_else(|| RowError { name: String::from_utf8_lossy(name).into_owned() })?;
        }
        found.roster.members.sort_by_key(|member| member.number);
        Ok(found)
    }

    fn take(&mut self, name: &[u8], row: &Bytes) -> Option<()> {
        let text = || std::str::from_utf8(row).ok();
        if name == registry::CLUSTER_ID.as_bytes() {
            text()?.clone_into(&mut self.roster.cluster);
        } else if name == registry::SLOTS_TABLE.as_bytes() {
            self.slots = Some(registry::decode_slots(row)?);
        } else if name == registry::PEERS_REVISION.as_bytes() {
            self.revision = Some(text()?.parse().ok()?);
        } else if name.starts_with(peer_row::PREFIX.as_bytes()) {
            let (number, PeerRow { id, address, removed }) = (peer_row::parse_name(name)?, PeerRow::decode(row)?);
            self.roster.members.push(Member { number, id, address, removed });
        } else if name.starts_with(incarnation::PREFIX.as_bytes()) {
            self.roster.incarnations.insert(incarnation::parse_name(name)?, Incarnation::parse(text()?)?);
        }
        Some(())
    }

    /// The rows that a newcomer is shown: the cluster, its members with their disks, and the slot table. Whoever invites it is among them, also
    /// when it was removed: until others have a vote it is the one that lets them in.
    pub fn invitation(&self, caller: PeerNumber) -> Vec<(Bytes, Bytes)> {
        let shown = || self.roster.members.iter().filter(move |member| !member.removed || member.number == caller);
        let named = |name: &'static str, row: Bytes| (Bytes::from_static(name.as_bytes()), row);
        let mut rows = vec![named(registry::CLUSTER_ID, Bytes::from(self.roster.cluster.clone()))];
        rows.extend(self.slots.as_ref().map(|slots| named(registry::SLOTS_TABLE, registry::encode_slots(slots))));
        rows.extend(shown().map(|member| {
            let row = PeerRow { id: member.id.clone(), address: member.address.clone(), removed: member.removed };
            (peer_row::name(member.number), row.encode())
        }));
        rows.extend(shown().filter_map(|member| {
            let disk = self.roster.incarnation(member.number)?;
            Some((incarnation::name(member.number), Bytes::from(disk.to_string())))
        }));
        rows
    }
}

#[cfg(test)]
mod tests {
    //! Every peer lives by what it reads here: a peer that is overlooked gets no replica, a row that is misread no error.
    use super::*;

    fn row(name: &str, value: impl Into<Bytes>) -> (Bytes, Bytes) {
        (Bytes::from(name.to_owned()), value.into())
    }

    fn peer(id: &str, removed: bool) -> Bytes {
        PeerRow { id: id.into(), address: format!("{id}:1"), removed }.encode()
    }

    #[test]
    fn rows_are_read_and_peers_come_in_the_order_of_their_numbers() {
        let slots: Vec<_> = (0..z4_model::ids::SLOTS).map(|slot| GroupId(1 + slot % 2)).collect();
        let rows = [
            row("cluster_id", "c1"),
            row("incarnation/10", "000000000000000000000000000000ab"),
            row("peer/10", peer("c", false)),
            row("peer/2", peer("b", true)),
            row("peers_revision", "7"),
            row("setting/x", "whatever"),
            row("slots", registry::encode_slots(&slots)),
        ];
        let found = Registry::from_rows(&rows).expect("it is understood");
        let seen: Vec<_> = found.roster.members.iter().map(|m| (m.number, m.id.as_str(), m.removed)).collect();
        assert_eq!(seen, [(2, "b", true), (10, "c", false)]);
        assert_eq!(found.roster.incarnation(10), Some(Incarnation::new(0xab)));
        assert_eq!((found.roster.cluster.as_str(), &found.slots, found.revision), ("c1", &Some(slots), Some(7)));
        // A newcomer is shown what it needs.
        let shown = Registry::from_rows(&found.invitation(10)).expect("it is understood");
        let seen: Vec<_> = shown.roster.members.iter().map(|m| (m.number, m.id.as_str())).collect();
        assert_eq!((seen, shown.roster.incarnation(10)), (vec![(10, "c")], Some(Incarnation::new(0xab))));
        assert_eq!((shown.roster.cluster, shown.slots), (found.roster.cluster, found.slots));
        assert_eq!(Registry::from_rows(&[]).expect("nothing"), Registry::default());
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (name, value) in [("peer/1", "x"), ("peer/x", "x"), ("slots", "x"), ("peers_revision", "-1"), ("incarnation/1", "x")]
        {
            let error = Registry::from_rows(&[row(name, value)]).expect_err("malformed").to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
