//! A peer that was started again proves its disk before it takes part in anything: it asks every other member whether that one has seen
//! more of the disk. A backup that was put back, or a copy beside the original, has forgotten votes and entries that others count on.
//!
//! Until then there is no link, so no vote is given and nothing acknowledged. Who cannot be reached cannot be asked: then the peer goes
//! on without after a while, or one peer that is away would keep others from being a majority. It goes on asking, and ends as soon as
//! one tells that its disk is outdated.
//!
//! Two rounds: while it asks nothing changes anywhere, for it may still be refused, and of two processes with copies of one disk the other one
//! must not end before that. Only with its link it [takes the place](z4_shards::link::Disks::meet) of the one before.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use z4_model::ids::PeerNumber;
use z4_model::rows::incarnation::Incarnation;
use z4_proto::peer::welcome::Verdict;
use z4_proto::peer::{self, Hello, Welcome};
use z4_shards::link::{DiskState, Life, Outdated, Seen};
use z4_shards::roster::{Member, Roster};

use super::{Identity, State, VERSION, dial};

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

    /// A member has called whose own disk is good, and which has seen no more of this one: its word is as good as an answer.
    pub(super) fn taken_call(&self, by: PeerNumber) -> (Verdict, String) {
        self.called.set(true);
        self.words.borrow_mut().insert(by, Word::Good);
        match self.proven.get() {
            true => (Verdict::Accepted, String::new()),
            false => (Verdict::Later, "this peer is asking the others whether they have seen more of its disk".to_owned()),
        }
    }

    fn word(&self, of: PeerNumber) -> Word {
        self.words.borrow().get(&of).copied().unwrap_or(Word::None)
    }
}

/// What the caller says of the disk that it calls is about this peer's.
fn is_about(hello: &Hello, me: &Identity) -> bool {
    hello.version == VERSION && hello.cluster_id == me.cluster_id && hello.to == me.peer_number
}

/// The one that answers is this member of the cluster. Another one may be at its address by now, and another cluster has the same numbers.
pub(super) fn is_by(member: &Member, cluster: &str, welcome: &Welcome) -> bool {
    welcome.peer_number == member.number && welcome.cluster_id == cluster
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

/// The disk at the other end of a call.
struct Other<'a> {
    number: PeerNumber,
    id: &'a str,
    /// Which it is; `None`: from before disks were told apart, as far as is known here.
    disk: Option<Incarnation>,
    /// The registry says so too.
    is_registered: bool,
    /// What the other end says of it.
    told: Option<&'a peer::DiskState>,
}

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// Whether the caller may go on.
    Ask,
    /// A link.
    Link,
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
    /// What this peer says of its own disk to another one.
    pub(super) fn own_disk(&self, to: PeerNumber) -> peer::DiskState {
        put_state(self.links.shards.reach().disks().own(to))
    }

    /// What this peer has seen of the disk of a peer that it calls; of whichever it has, when the registry does not say.
    pub(super) fn seen_of(&self, member: &Member, disk: Option<Incarnation>) -> Option<peer::DiskState> {
        self.links.shards.reach().disks().seen_of(member.number, disk).map(put_state)
    }

    /// The caller may have seen more of this peer's disk than there is: then this peer ends, whatever else comes of the call. `true`: it has
    /// seen of it, and knows its key.
    pub(super) fn check_own(&self, hello: &Hello, me: Option<&Identity>) -> Result<bool, (Verdict, String)> {
        let (Some(seen), Some(me)) = (&hello.to_disk, me.filter(|me| is_about(hello, me))) else { return Ok(false) };
        match self.links.shards.reach().disks().check_own(hello.from, state(seen)) {
            Ok(()) => Ok(true),
            // Who does not know the disk's key is not heard; a link with it would be one that it refuses.
            Err(Outdated::Stranger) if hello.probe => Ok(false),
            Err(Outdated::Stranger) => {
                let text = format!("the caller has not seen the disk of peer {}, but another one of its name", me.peer_id);
                Err((Verdict::Mismatch, text))
            }
            Err(outdated) => {
                let (_, reason) = refusal(&me.peer_id, me.peer_number, &outdated);
                (self.links.fail)(format!("peer {} says: {reason}", hello.from_id));
                Err((Verdict::Later, "this peer's disk is outdated, and it ends".to_owned()))
            }
        }
    }

    /// Whether the other end's disk may go on; what is known of it, once it has its link and the registry has it. Of which something was seen, that
    /// has to say how far it is.
    fn judge(&self, other: &Other<'_>, round: Round) -> Result<Option<Arc<Seen>>, (Verdict, String)> {
        let disks = self.links.shards.reach().disks();
        let (number, id) = (other.number, other.id);
        let (Some(disk), Some(told)) = (other.disk, other.told) else {
            if !disks.has_seen(number, other.disk) {
                return Ok(None);
            }
            let text =
                format!("peer {id} (number {number}) does not say how far its disk is, of which this peer has seen something");
            return Err((Verdict::Mismatch, text));
        };
        let judged = match round == Round::Link && other.is_registered {
            true => disks.meet(number, disk, state(told)).map(Some),
            false => disks.check(number, disk, &state(told)).map(|()| None),
        };
        judged.map_err(|outdated| refusal(id, number, &outdated))
    }

    /// Judges the disk of a caller. One of no cluster, or of another one, says nothing of itself.
    pub(super) fn judge_caller(
        &self,
        hello: &Hello,
        me: Option<&Identity>,
        roster: &Roster,
    ) -> Result<Option<Arc<Seen>>, (Verdict, String)> {
        if me.is_none_or(|me| me.cluster_id != hello.cluster_id) {
            return Ok(None);
        }
        let disk = Incarnation::parse(&hello.from_incarnation);
        let invited = self.invited.borrow();
        let roster = invited.as_ref().filter(|_| roster.members.is_empty()).unwrap_or(roster);
        let is_member = roster.member(hello.from).is_some_and(|member| member.id == hello.from_id);
        let is_registered = is_member && disk.is_some() && roster.incarnation(hello.from) == disk;
        let told = hello.from_disk.as_ref();
        let round = if hello.probe { Round::Ask } else { Round::Link };
        self.judge(&Other { number: hello.from, id: &hello.from_id, disk, is_registered, told }, round)
    }

    /// Judges the disk of a peer that was called for a link and accepted it.
    pub(super) fn judge_called(&self, member: &Member, welcome: &Welcome) -> io::Result<Option<Arc<Seen>>> {
        let disk = self.links.shards.roster().incarnation(member.number);
        let (is_registered, told) = (disk.is_some(), welcome.disk_state.as_ref());
        let other = Other { number: member.number, id: &member.id, disk, is_registered, told };
        self.judge(&other, Round::Link).map_err(|(_, reason)| {
            if self.told.is_due(&reason, Instant::now()) {
                tracing::warn!(peer = member.id, reason, "the link was not made");
            }
            io::Error::other(reason)
        })
    }

    /// A member says that this peer's disk is outdated: it ends, if it is that member.
    pub(super) fn outdated(&self, member: &Member, welcome: Welcome) -> io::Error {
        if self.links.standing.identity().is_some_and(|me| is_by(member, &me.cluster_id, &welcome)) {
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
            let is_good = |member: &Member| self.proof.word(member.number) == Word::Good;
            if !roster.members.is_empty() && roster.members.iter().filter(counts).all(is_good) {
                // When it cannot be written, the next start proves a little more than it would have to.
                let _ = self.believed_by_all().await;
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
        let is_kept = word != Word::Good || self.keep_word(member).await;
        let word = if is_kept { word } else { Word::None };
        let mut words = self.proof.words.borrow_mut();
        let before = words.entry(member.number).or_insert(Word::None);
        if *before != Word::Good {
            *before = word;
        }
    }

    async fn keep_word(&self, member: &Member) -> bool {
        match self.believed_by(member.number).await {
            Ok(()) => true,
            Err(error) => {
                if self.told.is_due("starts", Instant::now()) {
                    tracing::warn!(%error, "what others say of this peer's disk cannot be kept now; they are asked again");
                }
                false
            }
        }
    }

    async fn ask_over(&self, mut stream: tokio::net::TcpStream, me: &Identity, member: &Member) -> Word {
        let known = self.links.shards.roster().incarnation(member.number);
        let question = Hello { probe: true, ..self.hello(me, member, 0, known) };
        match dial::exchange(&mut stream, &question).await {
            Ok(welcome) if welcome.verdict() == Verdict::Told && is_by(member, &me.cluster_id, &welcome) => Word::Good,
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

    /// Every cluster has a peer 1, and any address may be another peer's by now.
    #[test]
    fn only_the_member_itself_speaks_for_it_and_only_of_this_peer() {
        let member = Member { number: 2, id: "b".into(), address: "b:1".into(), removed: false };
        let welcome =
            |peer_number, cluster_id: &str| Welcome { peer_number, cluster_id: cluster_id.into(), ..Welcome::default() };
        assert!(is_by(&member, "c1", &welcome(2, "c1")));
        assert!(!is_by(&member, "c1", &welcome(3, "c1")), "another number");
        assert!(!is_by(&member, "c1", &welcome(2, "c2")), "another cluster");
        assert!(!is_by(&member, "c1", &Welcome::default()), "one that does not say");
        let (cluster_id, peer_id, incarnation) = ("c1".to_owned(), "b".to_owned(), String::new());
        let me = Identity { cluster_id, peer_id, peer_number: 2, shards: 1, groups: 1, incarnation };
        let hello = |version, to, cluster_id: &str| Hello { version, to, cluster_id: cluster_id.into(), ..Hello::default() };
        assert!(is_about(&hello(VERSION, 2, "c1"), &me));
        assert!(!is_about(&hello(VERSION + 1, 2, "c1"), &me) && !is_about(&hello(VERSION, 3, "c1"), &me));
        assert!(!is_about(&hello(VERSION, 2, "c2"), &me));
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
