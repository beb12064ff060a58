//! What another replica of the group asks of this one.

use futures_channel::oneshot;
use openraft::async_runtime::WatchReceiver;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use z4_proto::peer::{self, Failure, failure};

use super::replica::Replica;
use super::types::TypeConfig;
use super::{sane, wire};
use crate::link::Body;
use crate::runtime::{clock, executor};

impl Replica {
    /// Answers a raft request. Appends of one follower are taken in the order of these calls.
    pub fn inbound(&self, body: Body, answer: oneshot::Sender<Body>) {
        let replica = self.clone();
        // A new task runs at once until it first waits: that is when the append is with the replica.
        executor::spawn(async move {
            let body = match replica.check(body) {
                Body::Append(request) => replica.append(request).await,
                Body::Ballot(ballot) => replica.ballot(&ballot).await,
                Body::Transfer(request) => replica.take_over(&request).await,
                step @ (Body::SnapshotBegin(_) | Body::SnapshotChunk(_) | Body::SnapshotEnd(_)) => {
                    replica.receiver.take(&replica, step).await
                }
                refused @ Body::Failure(_) => refused,
                _ => invalid("no request to a replica"),
            };
            let _ = answer.send(body);
        });
    }

    /// The request, or why no replica can have sent it.
    fn check(&self, body: Body) -> Body {
        let (term, has_log) = {
            let metrics = self.raft.metrics();
            let m = metrics.borrow_watched();
            // Whoever goes on asking while this peer ends gets no further than this.
            if let Err(e) = &m.running_state {
                return stopped(e);
            }
            (m.current_term, m.last_log_index.is_some())
        };
        match sane::check(&body, sane::term_max(term, has_log)) {
            Ok(()) => body,
            Err(error) => {
                tracing::warn!(group = %self.group, %error, "a peer sent what no replica sends; nothing of it was taken");
                invalid(&error.to_string())
            }
        }
    }

    async fn append(&self, request: peer::Append) -> Body {
        let request: AppendEntriesRequest<TypeConfig> = match wire::append(request) {
            Ok(request) => request,
            Err(e) => return invalid(&e.to_string()),
        };
        // A lease lasts from now.
        let told = self.tell();
        let prev = request.prev_log_id;
        let last = request.entries.last().map(|entry| entry.log_id).or(prev);
        match self.raft.append_entries(request).await {
            Ok(response) => {
                // Whoever has another leader by now has not heard from it.
                if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
                    self.heard.set(Some(clock::monotonic()));
                }
                let answer = wire::put_appended(response, prev, last);
                Body::Appended(peer::Appended { result: answer.result, at: answer.at, higher: answer.higher, ..told })
            }
            Err(e) => stopped(&e),
        }
    }

    async fn ballot(&self, ballot: &peer::Ballot) -> Body {
        let request = match wire::ballot(ballot) {
            Ok(request) => request,
            Err(e) => return invalid(&e.to_string()),
        };
        if !request.leadership_transfer && self.votes_from.is_some_and(|from| clock::monotonic() < from) {
            return invalid("this replica has just started and may have granted a lease that is not over");
        }
        let response = if ballot.pre { self.raft.pre_vote(request).await } else { self.raft.vote(request).await };
        match response {
            Ok(response) => Body::Vote(wire::put_voted(&response)),
            Err(e) => stopped(&e),
        }
    }

    async fn take_over(&self, request: &peer::Transfer) -> Body {
        let request = match wire::transfer(request) {
            Ok(request) => request,
            Err(e) => return invalid(&e.to_string()),
        };
        let refused = match self.raft.handle_transfer_leader(request).await {
            Ok(Ok(())) => String::new(),
            Ok(Err(e)) => e.to_string(),
            Err(e) => return stopped(&e),
        };
        Body::Transferred(peer::Transferred { refused })
    }
}

fn invalid(text: &str) -> Body {
    Body::Failure(Failure { kind: failure::Kind::Invalid.into(), text: text.to_owned(), limit: 0 })
}

fn stopped(e: &dyn std::error::Error) -> Body {
    Body::Failure(Failure { kind: failure::Kind::Stopping.into(), text: e.to_string(), limit: 0 })
}
