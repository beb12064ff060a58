//! Rows of namespaces are read before anything is delivered: few at a time, and one for each consumer in turn. Whoever names a thousand
//! namespaces waits for them; who comes after it with one does not.

use std::collections::VecDeque;

use z4_model::ids::Namespace;

use super::action::Action;
use super::engine::Engine;
use crate::runtime::maps::HashSet;

/// What is to be read. Numbers may be stale: a lane that does not need it any more is passed over.
#[derive(Default)]
pub(super) struct Loading {
    /// Consumers with lanes to be read, by slot and serial number, each at most once.
    consumers: VecDeque<(u32, u64)>,
    /// Lanes of nobody: those of leases without a consumer, and of consumers that went before their turn.
    others: VecDeque<u32>,
    /// Whose turn it was last.
    others_last: bool,
    /// What is being read.
    under_way: HashSet<Namespace>,
}

impl Engine {
    /// The lane's row is to be read, for a consumer or for nobody.
    pub(super) fn load_later(&mut self, l: u32, c: Option<u32>) {
        let Some((c, consumer)) = c.and_then(|c| Some((c, self.consumers.get_mut(c)?))) else {
            return self.loading.others.push_back(l);
        };
        if consumer.to_load.is_empty() {
            self.loading.consumers.push_back((c, consumer.serial));
        }
        consumer.to_load.push_back(l);
    }

    /// A consumer goes before its lanes were read: others may wait for some.
    pub(super) fn leave_loading(&mut self, to_load: VecDeque<u32>) {
        let wanted = to_load.into_iter().filter(|l| self.lanes.get(*l).is_some_and(|lane| lane.consumers > 0 && !lane.loaded));
        self.loading.others.extend(wanted);
    }

    /// A row was read.
    pub(super) fn was_loaded(&mut self, namespace: &Namespace) {
        self.loading.under_way.remove(namespace);
    }

    /// There is something to read, and it may be.
    pub(super) fn may_load(&self) -> bool {
        let loading = &self.loading;
        loading.under_way.len() < self.limits.loads_max && !(loading.consumers.is_empty() && loading.others.is_empty())
    }

    /// Has rows read, as many as may be at a time.
    pub(super) fn load(&mut self) {
        let mut namespaces = Vec::new();
        while self.may_load() {
            let Some(l) = self.next_to_load() else { continue };
            let Some(lane) = self.lanes.get(l).filter(|lane| !lane.loaded && !lane.is_idle()) else { continue };
            // One that is on its way counts for whoever asks later: what is applied meanwhile arrives behind it.
            if self.loading.under_way.insert(lane.name.clone()) {
                namespaces.push(lane.name.clone());
            }
        }
        if !namespaces.is_empty() {
            self.actions.push(Action::Load { namespaces });
        }
    }

    /// The next lane, and its consumer goes behind the others; `None`: the consumer has none.
    fn next_to_load(&mut self) -> Option<u32> {
        let loading = &mut self.loading;
        let others = loading.consumers.is_empty() || !loading.others_last && !loading.others.is_empty();
        loading.others_last = others;
        if others {
            return loading.others.pop_front();
        }
        let (c, serial) = loading.consumers.pop_front()?;
        let consumer = self.consumers.get_mut(c).filter(|consumer| consumer.serial == serial)?;
        let l = consumer.to_load.pop_front();
        if !consumer.to_load.is_empty() {
            loading.consumers.push_back((c, serial));
        }
        l
    }
}

#[cfg(test)]
mod tests {
    //! Consumers with a thousand unknown namespaces each had a read of the storage thread waiting for every one of them, also after they had
    //! gone; a consumer of one namespace got nothing until all of those were done.
    use std::sync::Arc;

    use z4_model::ids::GroupId;
    use z4_model::rows::namespace::NamespaceRow;

    use super::*;
    use crate::shard::delivery::{ConsumerId, Flow, Gone, Limits, Now};

    const NOW: Now = Now { wall_ms: 1, mono_ms: 1 };

    fn name(n: usize) -> Namespace {
        Namespace::new(&format!("ns-{n}")).expect("valid")
    }

    fn subscribe(engine: &mut Engine, consumer: u64, names: std::ops::Range<usize>) {
        let names: Vec<Namespace> = names.map(name).collect();
        engine.subscribe(ConsumerId(consumer), (Arc::new(Flow::new(1 << 20)), Arc::default()), &names, 0);
    }

    fn loads(engine: &mut Engine) -> Vec<Namespace> {
        let mut loads = Vec::new();
        for action in engine.run(NOW, &mut || 0.5) {
            match action {
                Action::Load { namespaces } => loads.extend(namespaces),
                other => panic!("nothing else is to be done for namespaces without a task: {other:?}"),
            }
        }
        loads
    }

    #[test]
    fn few_rows_are_read_at_a_time_and_each_consumer_has_its_turn() {
        let limits = Limits { loads_max: 4, ..Limits::default() };
        let mut engine = Engine::new(GroupId(1), limits, 1);
        subscribe(&mut engine, 1, 0..1_000);
        let mut under_way = VecDeque::from(loads(&mut engine));
        assert_eq!(under_way.len(), 4);
        subscribe(&mut engine, 2, 1_000..2_000);
        subscribe(&mut engine, 3, 2_000..2_001);
        assert_eq!(loads(&mut engine).len(), 0, "before there is room");
        let mut read = 0;
        while !under_way.contains(&name(2_000)) {
            let namespace = under_way.pop_front().expect("the last one is read some time");
            engine.loaded(&namespace, &NamespaceRow::default());
            under_way.extend(loads(&mut engine));
            read += 1;
        }
        assert!(read <= 3, "one namespace waited for {read}");
        // Those that nobody wants any more are not read.
        engine.unsubscribe(ConsumerId(1), Gone::Left);
        engine.unsubscribe(ConsumerId(2), Gone::Left);
        while let Some(namespace) = under_way.pop_front() {
            engine.loaded(&namespace, &NamespaceRow::default());
            under_way.extend(loads(&mut engine));
            read += 1;
        }
        assert!(read <= 12, "{read}");
        assert_eq!(engine.lanes_by_name.len(), 1 + engine.keeping_len());
    }

    #[test]
    fn what_others_wait_for_is_read_when_the_first_one_goes() {
        let limits = Limits { loads_max: 1, ..Limits::default() };
        let mut engine = Engine::new(GroupId(1), limits, 1);
        subscribe(&mut engine, 1, 0..10);
        subscribe(&mut engine, 2, 0..10);
        let mut under_way = loads(&mut engine);
        engine.unsubscribe(ConsumerId(1), Gone::Left);
        let mut read: HashSet<Namespace> = HashSet::default();
        while let Some(namespace) = under_way.pop() {
            engine.loaded(&namespace, &NamespaceRow::default());
            read.insert(namespace);
            under_way.extend(loads(&mut engine));
        }
        assert_eq!(read.len(), 10);
        assert!(!engine.may_load() && engine.loading.under_way.is_empty());
    }
}
