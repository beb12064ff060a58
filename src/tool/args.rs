//! The command line: every flag with its default, range and unit. `--help` is made from this file.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use prost_types::Timestamp;

use super::due::{Delay, parse_delay, parse_time, parse_timeout};

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 the peer refused, could not be reached or did not answer in time (one line on stderr names the target, the \
gRPC code and the reason); 2 the command line is wrong.";

/// Talks to z4 peers over gRPC: looks at the cluster and changes it, creates and consumes tasks, changes namespaces.
#[derive(Debug, Parser)]
#[command(name = "z4t", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Args {
    /// The peer to talk to, or several, separated by commas: the next one is asked when one cannot be reached or cannot serve
    #[arg(short, long, global = true, value_name = "HOST:PORT", default_value = "127.0.0.1:6355", value_delimiter = ',')]
    pub target: Vec<String>,
    /// The address of the peer to add: its peer port, not its service port
    #[arg(short, long, global = true, value_name = "HOST:PORT")]
    pub peer: Option<String>,
    /// The id of the peer to add or remove; -id works as well
    #[arg(long, global = true, value_name = "ID")]
    pub id: Option<String>,
    /// The form of the answers: table for people, json for programs, one object per line. Not given: a table on a terminal, JSON in a
    /// pipe or a file. (sql-user prints a line of a file, whatever reads it, unless told otherwise.)
    #[arg(short, long, global = true, value_name = "FORM")]
    pub output: Option<Form>,
    /// The same as --output json
    #[arg(long, global = true)]
    pub json: bool,
    /// How long a request may take with its connection and all its attempts: 10, 500ms, 10s, 2m
    #[arg(long, global = true, value_name = "DURATION", default_value = "10s", value_parser = parse_timeout)]
    pub timeout: Duration,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, clap::Args)]
pub struct PingArgs {
    /// Asks whether the peer answers at all, also when it waits to be added, has no leader, or was removed
    #[arg(long)]
    pub alive: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prints the cluster as the target sees it: whether it is a member, the members, and every group with its replicas
    ///
    /// How far the replicas of a group are only its leader knows; leaders that can be reached are asked, too.
    Info,
    /// Asks every target whether it serves
    Ping(PingArgs),
    /// Adds the peer --peer HOST:PORT under the id --id ID to the cluster, and waits until it is a voter of every group
    ///
    /// The peer is called first: nothing is stored when nobody answers, or somebody who cannot be added. An id may be used again after
    /// remove-peer. With --replace it is all that a peer with a lost disk takes: start it with both directories empty, then run this.
    AddPeer(AddArgs),
    /// Removes the peer with the id --id ID from the cluster, and waits until no group has a replica there
    RemovePeer(WaitArgs),
    /// Moves the leadership of a group to one of its voters
    TransferLeader(TransferArgs),
    /// Has the peers spread leadership evenly
    Rebalance,
    /// Prints the applied index and the state hash of the target's replica of a group
    Hash(HashArgs),
    /// Creates, reads, lists, changes and deletes tasks
    #[command(subcommand)]
    Task(TaskCommand),
    /// Prints tasks as they come
    ///
    /// Without --ack the tasks are only looked at: when z4t ends they go back, and no attempt is counted.
    Consume(ConsumeArgs),
    /// Reads, changes, lists and purges namespaces
    #[command(subcommand)]
    Namespace(NamespaceCommand),
    /// Has what a clock that was ahead put off be due now
    ///
    /// A peer of an older version whose clock was ahead, were it for a moment, put off everything in its groups that was due at once. What
    /// was scheduled on purpose is not touched.
    RepairClock(RepairClockArgs),
    /// Prints a user's line for the file that a peer's --sql-users names; the password comes from stdin, or is asked for
    ///
    /// The line holds the password's hashes for mysql_native_password and caching_sha2_password. No peer is asked.
    SqlUser(SqlUserArgs),
}

#[derive(Debug, ClapArgs)]
pub struct SqlUserArgs {
    /// The user's name: 1 to 32 characters, no colon
    #[arg(value_name = "NAME")]
    pub name: String,
}

#[derive(Debug, ClapArgs)]
pub struct RepairClockArgs {
    /// The namespaces to repair; all of them when none is named
    #[arg(value_name = "NAMESPACE")]
    pub namespaces: Vec<String>,
}

/// The form of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    Table,
    /// For programs
    Json,
}

impl Args {
    /// The form that was asked for, if any was.
    pub fn form(&self) -> Option<Form> {
        if self.json { Some(Form::Json) } else { self.output }
    }
}

/// How a peer is added.
#[derive(Debug, ClapArgs)]
pub struct AddArgs {
    /// Puts the empty disk at --peer in the place of the member --id, whose disk is lost: removes that one and adds this one in one
    /// step. A member whose disk is there stays as it is, and who is no member is added
    #[arg(long)]
    pub replace: bool,
    /// Stores the wish also when nobody answers at --peer
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// How long a change of the membership is watched.
#[derive(Debug, ClapArgs)]
pub struct WaitArgs {
    /// Does not wait: the groups do the rest by themselves
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait until it is done, whatever --timeout says: 90, 30s, 10m
    #[arg(long, alias = "wait-timeout", value_name = "DURATION", default_value = "5m", value_parser = parse_timeout)]
    pub wait: Duration,
}

#[derive(Debug, ClapArgs)]
pub struct TransferArgs {
    /// The group; 0 is the registry
    #[arg(long, value_name = "N")]
    pub group: u32,
    /// The id of the peer that is to lead it
    #[arg(long, value_name = "ID")]
    pub to: String,
}

#[derive(Debug, ClapArgs)]
pub struct HashArgs {
    /// The group; 0 is the registry
    #[arg(long, value_name = "N")]
    pub group: u32,
}

#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// Creates a task; due at once unless --at or --in is given
    Create(CreateArgs),
    /// Prints one task
    Get(TaskArgs),
    /// Lists tasks in due order, dead ones last
    List(ListArgs),
    /// Changes a task; its id stays
    Update(UpdateArgs),
    /// Removes a task, whatever its state
    Delete(DeleteArgs),
}

/// When a task is due.
#[derive(Debug, ClapArgs)]
#[group(multiple = false)]
pub struct DueArgs {
    /// Due at this time: 2030-01-31, "2030-01-31 08:00", 2030-01-31T08:00:00+01:00, or now. Without an offset it is a time of this
    /// machine's zone (TZ); which moment it was taken for is said on stderr
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub at: Option<Timestamp>,
    /// Due after this time, in whole seconds by the peer's clock: 90, 10s, 5m, 2h, 1d, 1h30m. -5s: as if it had been due five seconds ago
    #[arg(long = "in", value_name = "DELAY", value_parser = parse_delay, allow_hyphen_values = true)]
    pub delay: Option<Delay>,
}

/// What a task carries.
#[derive(Debug, ClapArgs)]
#[group(multiple = false)]
pub struct PayloadArgs {
    /// The payload, as text
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub payload: Option<String>,
    /// The payload, from a file; - is stdin
    #[arg(long, value_name = "FILE")]
    pub payload_file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct CreateArgs {
    /// The task's namespace
    #[arg(short, long)]
    pub namespace: String,
    #[command(flatten)]
    pub payload: PayloadArgs,
    /// One entry of metadata; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_meta)]
    pub meta: Vec<(String, String)>,
    #[command(flatten)]
    pub due: DueArgs,
    /// Makes the create idempotent: the same id in the same namespace gives the same task back
    #[arg(long, value_name = "ID")]
    pub request_id: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct TaskArgs {
    /// The task's namespace
    #[arg(short, long)]
    pub namespace: String,
    /// The task's id
    #[arg(value_name = "TASK_ID")]
    pub task_id: String,
}

#[derive(Debug, ClapArgs)]
pub struct ListArgs {
    /// The namespace to list
    #[arg(short, long)]
    pub namespace: String,
    /// Only tasks in this state
    #[arg(long)]
    pub state: Option<State>,
    /// Only tasks due at or after this time, written as with task create
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub from: Option<Timestamp>,
    /// Only tasks due before this time, written as with task create
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub until: Option<Timestamp>,
    /// At most so many tasks; 0: all
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: u64,
    /// Leaves the payloads out
    #[arg(long)]
    pub omit_payload: bool,
}

/// A task's state, as users write it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum State {
    /// Due in the future
    Scheduled,
    /// Due, not with a consumer
    Ready,
    /// With a consumer
    Leased,
    /// Its attempts are used up
    Dead,
}

#[derive(Debug, ClapArgs)]
pub struct UpdateArgs {
    #[command(flatten)]
    pub task: TaskArgs,
    #[command(flatten)]
    pub due: DueArgs,
    #[command(flatten)]
    pub payload: PayloadArgs,
    /// Replaces the metadata by these entries; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_meta)]
    pub meta: Vec<(String, String)>,
    /// Removes all metadata
    #[arg(long, conflicts_with = "meta")]
    pub clear_meta: bool,
    /// Counts attempts from 0 again and brings a dead task back
    #[arg(long)]
    pub revive: bool,
    /// Refuses the change unless the task has this version
    #[arg(long, value_name = "VERSION", default_value_t = 0)]
    pub expected_version: u32,
}

#[derive(Debug, ClapArgs)]
pub struct DeleteArgs {
    #[command(flatten)]
    pub task: TaskArgs,
    /// Refuses to delete unless the task has this version
    #[arg(long, value_name = "VERSION", default_value_t = 0)]
    pub expected_version: u32,
}

#[derive(Debug, ClapArgs)]
pub struct ConsumeArgs {
    /// A namespace to consume; may be repeated
    #[arg(short, long = "namespace", value_name = "NAMESPACE", required = true)]
    pub namespaces: Vec<String>,
    /// Acknowledges each task after it was printed
    #[arg(long)]
    pub ack: bool,
    /// Ends after so many tasks; 0: never
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub limit: u64,
    /// The lease time in milliseconds; 0: the namespace's
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub lease_ms: u32,
}

#[derive(Debug, Subcommand)]
pub enum NamespaceCommand {
    /// Prints a namespace: settings and counts
    Get(NamespaceArgs),
    /// Changes settings; what is not given stays
    Set(Box<SetArgs>),
    /// Lists the namespaces in the order of their names
    List {
        /// At most so many; 0: all
        #[arg(long, value_name = "N", default_value_t = 0)]
        limit: u64,
    },
    /// Removes every task of a namespace, dead ones included; the settings stay
    Purge(NamespaceArgs),
    /// Removes a namespace with its settings, when it has no task
    Delete(NamespaceArgs),
}

#[derive(Debug, ClapArgs)]
pub struct NamespaceArgs {
    /// The namespace
    pub namespace: String,
}

#[derive(Debug, ClapArgs)]
#[group(id = "settings", multiple = true, required = true)]
pub struct SettingArgs {
    /// How long a consumer may keep a task without a word: 100 to 43200000 ms
    #[arg(long, value_name = "MS")]
    pub lease_ms: Option<u32>,
    /// After so many failed attempts a task is dead: 1 to 10000
    #[arg(long, value_name = "N")]
    pub max_attempts: Option<u32>,
    /// The wait after the first failed attempt: 0 to 86400000 ms
    #[arg(long, value_name = "MS")]
    pub backoff_first_ms: Option<u64>,
    /// Each wait is the one before times this: 1.0 to 100.0
    #[arg(long, value_name = "FACTOR")]
    pub backoff_factor: Option<f64>,
    /// No wait is longer: 0 to 2592000000 ms
    #[arg(long, value_name = "MS")]
    pub backoff_ceiling_ms: Option<u64>,
    /// Each wait is changed by up to this share of it, at random: 0.0 to 1.0
    #[arg(long, value_name = "SHARE")]
    pub backoff_jitter: Option<f64>,
    /// true: nothing is delivered, tasks are taken
    #[arg(long, value_name = "BOOL")]
    pub paused: Option<bool>,
    /// How long a request id is remembered: 0 to 86400000 ms
    #[arg(long, value_name = "MS")]
    pub idempotency_window_ms: Option<u64>,
}

#[derive(Debug, ClapArgs)]
pub struct SetArgs {
    /// The namespace
    pub namespace: String,
    #[command(flatten)]
    pub settings: SettingArgs,
}

fn parse_meta(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("metadata is written KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::argv;
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(argv::normalise(line.split(' ').map(Into::into), &argv::Flags::of(&Args::command())))
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    /// Scripts put the global flags on either side of the subcommand.
    #[test]
    fn global_flags_stand_before_or_after_the_subcommand() {
        for line in
            ["z4t -t h:1 -p h:2 -id b add-peer", "z4t add-peer --target h:1 --peer=h:2 -id=b", "z4t -id b add-peer -p h:2 -t h:1"]
        {
            let args = parse(line).expect(line);
            assert_eq!(
                (args.target.join(",").as_str(), args.peer.as_deref(), args.id.as_deref()),
                ("h:1", Some("h:2"), Some("b")),
                "{line}"
            );
        }
        let args = parse("z4t task get -n a 01 --json -t h:3").expect("valid");
        assert_eq!(args.form(), Some(Form::Json));
        assert_eq!(parse("z4t info -o table").expect("valid").form(), Some(Form::Table));
        assert_eq!(parse("z4t info").expect("valid").form(), None);
        assert_eq!(args.target, ["h:3"]);
    }

    /// Lines of the original tool, as its users' scripts have them.
    #[test]
    fn the_originals_lines_are_understood() {
        for line in ["z4t --t h:1 -ns a consume", "z4t -t h:1 consume -ns a", "z4t consume -n a -target h:1"] {
            let args = parse(line).expect(line);
            let Command::Consume(consume) = args.command else { panic!("{line}") };
            assert_eq!((args.target.join(","), consume.namespaces.join(",")), ("h:1".to_owned(), "a".to_owned()), "{line}");
        }
        let Command::Task(TaskCommand::Create(create)) = parse("z4t task create -n a --in -5s").expect("valid").command else {
            panic!("a create")
        };
        assert_eq!(create.due.delay.map(|delay| delay.seconds), Some(-5));
    }

    #[test]
    fn targets_are_a_list() {
        assert_eq!(parse("z4t info -t h:1,h:2").expect("valid").target, ["h:1", "h:2"]);
        assert_eq!(parse("z4t info").expect("valid").target, ["127.0.0.1:6355"]);
    }

    #[test]
    fn changes_of_the_membership_wait_unless_told_otherwise() {
        let waits = |line| match parse(line).expect(line).command {
            Command::AddPeer(AddArgs { wait, .. }) | Command::RemovePeer(wait) => (wait.no_wait, wait.wait.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!(waits("z4t -t h:1 -p h:2 -id b add-peer"), (false, 300));
        assert_eq!(waits("z4t -id b remove-peer --wait-timeout 30s"), (false, 30));
        assert_eq!(waits("z4t -id b add-peer -p h:2 --replace --wait 30s"), (false, 30));
        assert_eq!(waits("z4t add-peer --no-wait -p h:2 -id b"), (true, 300));
    }

    #[test]
    fn contradictions_are_usage_errors() {
        for line in [
            "z4t task create -n a --at now --in 5s",
            "z4t task create -n a --payload x --payload-file y",
            "z4t task create",
            "z4t consume",
            "z4t namespace set a",
            "z4t transfer-leader --group 1",
            "z4t hash",
            "z4t task create -n a --meta novalue",
        ] {
            assert_eq!(parse(line).expect_err(line).exit_code(), 2, "{line}");
        }
    }
}
