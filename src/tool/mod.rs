//! `z4t`, the admin tool: one command line, one request (or stream) to one peer, over gRPC only.
//!
//! The way of an invocation: `argv` makes one-dash flags palatable, `args` parses them, `session` connects, the module named
//! like the subcommand talks to the peer, and `output` prints. What goes wrong comes back as an `error::ToolError` and is
//! printed here, once, on one line.

mod args;
mod argv;
mod base64;
mod cluster;
mod consume;
mod due;
mod error;
mod members;
mod namespace;
mod output;
pub mod rfc3339;
mod session;
mod task;
mod views;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use error::ToolError;
use output::Output;
use session::Session;

/// Runs the tool on a command line, the program's name first, and returns its exit code: 0 done, 1 failed, 2 bad usage.
pub fn run(argv: impl Iterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(argv::normalise(argv)) {
        Ok(args) => args,
        Err(error) => {
            // Help and version come as errors too; clap knows the stream and the code. A closed stream is not worth a word.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let target = args.target.clone();
    match execute(args) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader went away (`z4t consume | head`): it has seen what it wanted.
        Err(ToolError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.line(&target));
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
    let mut out = Output::new(args.json);
    let connect = Session::connect(&args.target, args.timeout);
    match args.command {
        Command::Info => cluster::info(&connect.await?, &mut out).await,
        Command::Ping => cluster::ping(&connect.await?, &mut out).await,
        Command::AddPeer => {
            let (peer, id) = members::addition(args.peer, args.id)?;
            members::add(&connect.await?, &mut out, peer, id).await
        }
        Command::RemovePeer => {
            let id = members::removal(args.id)?;
            members::remove(&connect.await?, &mut out, id).await
        }
        Command::Task(command) => {
            let request = task::prepare(command)?;
            task::execute(&connect.await?, &mut out, request).await
        }
        Command::Consume(options) => consume::execute(&connect.await?, &mut out, options).await,
        Command::Namespace(command) => namespace::execute(&connect.await?, &mut out, command).await,
    }
}
