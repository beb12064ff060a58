//! `z4t`, the admin tool: one command line, and what it takes of requests to the peers, over gRPC only.
//!
//! The way of an invocation: `argv` makes flags in the style of Go palatable, `args` parses them, `connect` makes the client, the module named
//! like the subcommand talks to the peers, and `output` prints. What goes wrong comes back as an `error::ToolError` and is
//! printed here, once, on one line.

mod args;
mod argv;
mod base64;
mod cluster;
mod connect;
mod consume;
mod due;
mod error;
mod info;
mod members;
mod namespace;
mod output;
mod progress;
mod repair_clock;
pub mod rfc3339;
mod sql_user;
mod task;
mod views;
mod zone;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, Command, Form};
use argv::Flags;
use error::ToolError;
use output::Output;

/// Runs the tool on a command line, the program's name first, and returns its exit code: 0 done, 1 failed, 2 bad usage.
pub fn run(argv: impl Iterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(argv::normalise(argv, &Flags::of(&Args::command()))) {
        Ok(args) => args,
        Err(error) => {
            // Help and version come as errors too; clap knows the stream and the code. A closed stream is not worth a word.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match execute(args) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader went away (`z4t consume | head`): it has seen what it wanted.
        Err(ToolError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.line());
            error.exit_code()
        }
    }
}

fn execute(args: Args) -> Result<(), ToolError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ToolError::Runtime)?;
    let result = runtime.block_on(dispatch(args));
    // A read of stdin that was given up must not keep the process.
    runtime.shutdown_background();
    result
}

async fn dispatch(args: Args) -> Result<(), ToolError> {
    if let Command::SqlUser(user) = &args.command {
        // Its answer is a line of a file.
        let form = args.form().unwrap_or(Form::Table);
        return sql_user::execute(&mut Output::new(Some(form)), &user.name);
    }
    let mut out = Output::new(args.form());
    let client = connect::connect(&args.target, args.timeout)?;
    match args.command {
        Command::Info => cluster::info(&client, &mut out).await,
        Command::Ping(ping) => cluster::ping(&client, &mut out, &args.target, ping.alive).await,
        Command::AddPeer(how) => {
            let (peer, id) = members::addition(args.peer, args.id)?;
            members::add(&client, &mut out, &args.target, (peer, id), &how).await
        }
        Command::RemovePeer(wait) => {
            let id = members::removal(args.id)?;
            members::remove(&client, &mut out, &args.target, id, &wait).await
        }
        Command::TransferLeader(transfer) => cluster::transfer_leader(&client, &mut out, transfer).await,
        Command::Rebalance => cluster::rebalance(&client, &mut out).await,
        Command::Hash(hash) => cluster::hash(&client, &mut out, &args.target, hash.group).await,
        Command::Task(command) => {
            let request = task::prepare(command)?;
            task::execute(&client, &mut out, request).await
        }
        Command::Consume(options) => consume::execute(&client, &mut out, options).await,
        Command::Namespace(command) => namespace::execute(&client, &mut out, command).await,
        Command::RepairClock(repair) => repair_clock::execute(&client, &mut out, repair.namespaces).await,
        // Done above: it needs no client.
        Command::SqlUser(_) => Ok(()),
    }
}
