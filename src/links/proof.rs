//! A peer that was started again proves its disk before it takes part in anything: it asks every other member whether that one has seen
//! more of the disk. A backup that was put back, or a copy beside the original, has forgotten votes and entries that others count on.
//!
//! Until then there is no link, so no vote is given and nothing acknowledged. Who cannot be reached cannot be asked: then the peer goes
//! on without after a while, or one peer that is away would keep others from being a majority. It goes on asking, and ends as soon as
//! one tells that its disk is outdated.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use z4_proto::peer::welcome::Verdict;
use z4_proto::peer::{self, Hello, Welcome};
use z4_shards::ids::PeerNumber;
use z4_shards::link::{DiskState, Life, Outdated, Seen};
use z4_shards::machine::incarnation::Incarnation;
use z4_shards::roster::{Member, Roster};

use super::{Identity, State, dial, words};

/// How often it is looked who is still to be asked.
const LOOK: Duration = Duration::from_millis(50);

/// Before a member that did not answer is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// Members at whose address nobody is are waited for so long.
const ABSENT_MAX: Duration = Duration::from_secs(3);

/// And those that are there and do not answer: they may be starting.
const SILENT_MAX: Duration = Duration::from_secs(10);

/// What a member said of this peer's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// Nothing yet.
    None,
    /// Nobody is there.
    Absent,
    /// It has seen no more of it.
    Good,
}

/// How far the proof is.
pub(super) struct Proof {
    proven: Cell<bool>,
    /// Members have called.
    called: Cell<bool>,
    words: RefCell<BTreeMap<PeerNumber, Word>>,
}

/// The peer can go on `waited` after it began to ask.
fn is_proven(words: impl IntoIterator<Item = Word>, waited: Duration) -> bool {
    let is_enough = |word| match word {
        Word::Good => true,
        Word::Absent => waited >= ABSENT_MAX,
        Word::None => waited >= SILENT_MAX,
    };
    words.into_iter().all(is_enough)
}

impl Proof {
    /// A disk that is new has nothing to prove.
    pub(super) fn new(is_new: bool) -> Self {
        Proof { proven: Cell::new(is_new), called: Cell::default(), words: RefCell::default() }
    }

    pub(super) fn is_proven(&self) -> bool {
        self.proven.get()
    }

    /// A member has called, and its own disk is good.
    pub(super) fn taken_call(&self) -> (Verdict, String) {
        self.called.set(true);
        match self.proven.get() {
            true => (Verdict::Accepted, String::new()),
            false => (Verdict::Later, "this peer is asking the others whether they have seen more of its disk".to_owned()),
        }
    }

    fn word(&self, of: PeerNumber) -> Word {
        self.words.borrow().get(&of).copied().unwrap_or(Word::None)
    }
}

/// For people.
fn refusal(id: &str, number: PeerNumber, outdated: &Outdated) -> (Verdict, String) {
    let whose = format!("the disk of peer {id} (number {number})");
    match outdated {
        Outdated::Stranger => (Verdict::Mismatch, format!("the caller is not {whose}: it does not have its key")),
        Outdated::Log { .. } => {
            let how = format!(
                "it is a backup or a copy, or has lost what it had written, and has forgotten what it promised. Empty both of its directories, \
                 start it, and have it take its own place: z4t -t ANY_MEMBER -p ITS_ADDRESS -id {id} add-peer --replace"
            );
            (Verdict::Outdated, format!("{whose} is outdated: {outdated}; {how}"))
        }
        Outdated::Start { .. } | Outdated::Twice { .. } => {
            let how = format!(
                "another process goes on with the disk or a copy of it. If this one is to go on in its place, do as with a lost disk: empty both \
                 of its directories, start it, and z4t -t ANY_MEMBER -p ITS_ADDRESS -id {id} add-peer --replace"
            );
            (Verdict::Outdated, format!("{whose} is outdated: {outdated}; {how}"))
        }
    }
}

fn state(told: &peer::DiskState) -> DiskState {
    let life = Life { start: told.start, process: told.process };
    DiskState { life, key: told.key, log_ends: told.log_ends.clone() }
}

fn put_state(state: DiskState) -> peer::DiskState {
    let DiskState { life: Life { start, process }, key, log_ends } = state;
    peer::DiskState { start, process, log_ends, key }
}

impl State {
    /// What this peer says of its own disk.
    pub(super) fn own_disk(&self) -> peer::DiskState {
        put_state(self.links.shards.reach().disks().own())
    }

    /// What this peer has seen of the disk of a peer that it calls.
    pub(super) fn seen_of(&self, member: &Member, disk: Option<Incarnation>) -> Option<peer::DiskState> {
        self.links.shards.reach().disks().seen_of(member.number, disk?).map(put_state)
    }

    /// The caller may have seen more of this peer's disk than there is: then this peer ends. Who does not know the disk's key is not heard.
    pub(super) fn check_own(&self, hello: &Hello, me: Option<&Identity>) -> Result<(), (Verdict, String)> {
        let (Some(seen), Some(me)) = (&hello.to_disk, me) else { return Ok(()) };
        match self.links.shards.reach().disks().check_own(state(seen)) {
            Ok(()) | Err(Outdated::Stranger) => Ok(()),
            Err(outdated) => {
                let (_, reason) = refusal(&me.peer_id, me.peer_number, &outdated);
                (self.links.fail)(format!("peer {} says: {reason}", hello.from_id));
                Err((Verdict::Later, "this peer's disk is outdated, and it ends".to_owned()))
            }
        }
    }

    /// Whether the caller's disk may go on; what is known of it, if the registry has it.
    pub(super) fn meet_caller(
        &self,
        hello: &Hello,
        me: Option<&Identity>,
        roster: &Roster,
    ) -> Result<Option<Arc<Seen>>, (Verdict, String)> {
        let (Some(told), Some(disk)) = (&hello.from_disk, Incarnation::parse(&hello.from_incarnation)) else { return Ok(None) };
        if me.is_none_or(|me| me.cluster_id != hello.cluster_id) {
            return Ok(None);
        }
        let disks = self.links.shards.reach().disks();
        let is_member = roster.member(hello.from).is_some_and(|member| member.id == hello.from_id);
        let met = match is_member && roster.incarnation(hello.from) == Some(disk) {
            true => disks.meet(hello.from, disk, state(told)).map(Some),
            false => disks.check(hello.from, disk, &state(told)).map(|()| None),
        };
        met.map_err(|outdated| refusal(&hello.from_id, hello.from, &outdated))
    }

    /// The same for one that was called and answered.
    pub(super) fn meet_called(&self, member: &Member, welcome: &Welcome) -> io::Result<Option<Arc<Seen>>> {
        let disk = self.links.shards.roster().incarnation(member.number);
        let (Some(told), Some(disk)) = (&welcome.disk_state, disk) else { return Ok(None) };
        match self.links.shards.reach().disks().meet(member.number, disk, state(told)) {
            Ok(seen) => Ok(Some(seen)),
            Err(outdated) => {
                let (_, reason) = refusal(&member.id, member.number, &outdated);
                if self.told.is_due(&reason, Instant::now()) {
                    tracing::warn!(peer = member.id, reason, "the link was not made");
                }
                Err(io::Error::other(reason))
            }
        }
    }

    /// A member says that this peer's disk is outdated: it ends, if it is that member.
    pub(super) fn outdated(&self, member: &Member, welcome: Welcome) -> io::Error {
        let cluster = self.links.standing.identity().map(|me| me.cluster_id.clone());
        if welcome.peer_number == member.number && cluster.as_ref() == Some(&welcome.cluster_id) {
            (self.links.fail)(format!("peer {} says: {}", member.id, welcome.reason));
        }
        io::Error::other(welcome.reason)
    }

    /// Asks everybody who has not said yet that this peer's disk is the newest. Never ends.
    pub(super) async fn prove(self: Rc<Self>) {
        let mut since = None;
        let mut asked: BTreeMap<PeerNumber, Instant> = BTreeMap::new();
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(me) = self.links.standing.identity().filter(|_| self.links.standing.is_open()) else { continue };
            let (roster, named, now) = (self.links.shards.roster(), self.links.shards.named(), Instant::now());
            let waited = now - *since.get_or_insert(now);
            let counts = |member: &&Member| member.number != me.peer_number && roster.links_to(member.number, &named);
            for member in roster.members.iter().filter(counts) {
                let is_due = asked.get(&member.number).is_none_or(|next| now >= *next);
                if self.proof.word(member.number) != Word::Good && is_due {
                    // One that is answered late does no harm: the word of it is the same.
                    asked.insert(member.number, now + AGAIN);
                    let (state, me, member) = (Rc::clone(&self), Arc::clone(&me), member.clone());
                    tokio::task::spawn_local(async move { state.ask(&me, &member).await });
                }
            }
            if self.proof.is_proven() {
                continue;
            }
            let words: Vec<(&str, Word)> =
                roster.members.iter().filter(counts).map(|member| (&*member.id, self.proof.word(member.number))).collect();
            // A peer that was killed while it joined knows nobody, and hears of the others from one that calls.
            let proven = match roster.members.is_empty() {
                true => self.proof.called.get() && waited >= ABSENT_MAX,
                false => is_proven(words.iter().map(|(_, word)| *word), waited),
            };
            if proven {
                let missing: Vec<&str> = words.iter().filter(|(_, word)| *word != Word::Good).map(|(id, _)| *id).collect();
                match missing.is_empty() {
                    true => tracing::debug!("no other peer has seen more of this peer's disk"),
                    false => tracing::warn!(
                        missing = missing.join(", "),
                        "these peers could not be asked whether this peer's disk is the newest one; it goes on without"
                    ),
                }
                self.proof.proven.set(true);
            }
        }
    }

    async fn ask(&self, me: &Identity, member: &Member) {
        let word = match dial::connect(&member.address).await {
            Err(_) => Word::Absent,
            Ok(stream) => self.ask_over(stream, me, member).await,
        };
        let mut words = self.proof.words.borrow_mut();
        let before = words.entry(member.number).or_insert(Word::None);
        if *before != Word::Good {
            *before = word;
        }
    }

    async fn ask_over(&self, mut stream: tokio::net::TcpStream, me: &Identity, member: &Member) -> Word {
        let known = self.links.shards.roster().incarnation(member.number);
        let question = Hello { probe: true, ..self.hello(me, member, 0, known) };
        let heard = match words::say(&mut stream, &question).await {
            Ok(()) => words::hear::<Welcome>(&mut stream).await,
            Err(error) => Err(error),
        };
        match heard {
            // Another one may be at its address by now.
            Ok(welcome) if welcome.verdict() == Verdict::Told && welcome.peer_number == member.number => Word::Good,
            Ok(welcome) if welcome.verdict() == Verdict::Outdated => {
                self.outdated(member, welcome);
                Word::None
            }
            Ok(_) => Word::Absent,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Word::None,
            // A proxy without anybody behind it.
            Err(_) => Word::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that could be asked is always waited for; one that is away keeps nobody from being a majority.
    #[test]
    fn whoever_can_be_asked_is_asked_and_nobody_is_waited_for_in_vain() {
        let good = [Word::Good, Word::Good];
        assert!(is_proven(good, Duration::ZERO) && is_proven([], Duration::ZERO));
        assert!(!is_proven([Word::Good, Word::Absent], Duration::from_secs(2)));
        assert!(is_proven([Word::Good, Word::Absent], ABSENT_MAX));
        assert!(!is_proven([Word::Good, Word::None], ABSENT_MAX), "it may be starting");
        assert!(is_proven([Word::Absent, Word::None], SILENT_MAX));
    }

    #[test]
    fn a_refusal_says_how_to_go_on() {
        let older = refusal("c", 3, &Outdated::Log { shard: 1, told: 4, seen: 9 });
        assert_eq!(older.0, Verdict::Outdated);
        for part in ["peer c (number 3)", "shard 1 ends with frame 4", "seen with frame 9", "-id c add-peer --replace"] {
            assert!(older.1.contains(part), "{part} is not in: {}", older.1);
        }
        let copy = refusal("c", 3, &Outdated::Twice { start: 7 });
        assert!(copy.1.contains("another process") && copy.1.contains("start 7"), "{}", copy.1);
        assert_eq!(refusal("c", 3, &Outdated::Stranger).0, Verdict::Mismatch, "nobody ends because of a stranger");
    }
}
