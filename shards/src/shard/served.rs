//! What other peers ask of this replica as the group's leader. It is done here or not at all: nothing is forwarded twice.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_channel::oneshot;
use z4_model::encoding::Malformed;
use z4_model::ids::TaskId;
use z4_proto::peer::{self, ReadAt, Reserve, Submit, Submitted};

use crate::link::Body;
use crate::runtime::executor;
use crate::shard::api::{Answered, Rejection};
use crate::shard::group::Group;
use crate::shard::queue::{Bound, Done};
use crate::shard::wire::{self, Namespaces};

/// The answers to one frame of commands, as they come.
struct Gathering {
    replies: RefCell<Vec<peer::Reply>>,
    missing: Cell<usize>,
    answer: Cell<Option<oneshot::Sender<Body>>>,
}

impl Gathering {
    fn put(&self, at: usize, reply: peer::Reply) {
        self.replies.borrow_mut()[at] = reply;
        self.missing.set(self.missing.get() - 1);
        if self.missing.get() == 0
            && let Some(answer) = self.answer.take()
        {
            let _ = answer.send(Body::Submitted(Submitted { replies: self.replies.take() }));
        }
    }
}

impl Group {
    /// A request that wants an answer.
    pub(super) fn asked(self: &Rc<Self>, body: Body, answer: oneshot::Sender<Body>) {
        let group = Rc::clone(self);
        match body {
            // In the order in which they came.
            Body::Submit(message) => self.take_commands(&message, answer),
            Body::Reserve(message) => self.take_reserve(&message, answer),
            body => executor::spawn(async move {
                let is_read = matches!(body, Body::ReadIndex(_) | Body::ListLeases(_) | Body::ListNamespaces(_));
                let waiting = match is_read.then(|| group.reads.enter()).transpose() {
                    Ok(waiting) => waiting,
                    Err(full) => {
                        let _ = answer.send(Body::Failure(wire::put_failure(&full)));
                        return;
                    }
                };
                let body = match body {
                    Body::ReadIndex(message) => group.tell_index(&message).await,
                    Body::ListLeases(message) => group.tell_leases(&message).await,
                    Body::ListTasks(message) => group.tell_tasks(&message).await,
                    Body::ListNamespaces(message) => group.tell_namespaces(&message).await,
                    Body::Settle(message) => group.take_settles(message).await,
                    _ => Err(unreadable(Malformed("no request to a leader"))),
                };
                drop(waiting);
                let _ = answer.send(body.unwrap_or_else(Body::Failure));
            }),
        }
    }

    fn take_commands(self: &Rc<Self>, message: &Submit, answer: oneshot::Sender<Body>) {
        if !self.leads() && !self.becoming.get() {
            let _ = answer.send(wire::not_leading(self.id));
            return;
        }
        let commands = match wire::commands(&message.commands) {
            Ok(commands) => commands,
            Err(error) => {
                let _ = answer.send(Body::Failure(unreadable(error)));
                return;
            }
        };
        let gathering = Rc::new(Gathering {
            replies: RefCell::new(vec![peer::Reply::default(); commands.len()]),
            missing: Cell::new(commands.len()),
            answer: Cell::new(Some(answer)),
        });
        for (at, command) in commands.into_iter().enumerate() {
            let gathering = Rc::clone(&gathering);
            let done = move |result: Result<Answered<_>, Rejection>| {
                gathering.put(at, wire::put_outcome(&result.map(|answered| answered.value)));
            };
            self.submit(command, Bound::Here, Done::call(done));
        }
    }

    fn take_reserve(self: &Rc<Self>, message: &Reserve, answer: oneshot::Sender<Body>) {
        let command = match wire::commands(&message.command).map(|mut commands| (commands.pop(), commands.len())) {
            Ok((Some(command), 0)) => Ok(command),
            Ok(_) => Err(Malformed("not one command")),
            Err(error) => Err(error),
        };
        let command = match command {
            Ok(command) => command,
            Err(error) => {
                let _ = answer.send(Body::Failure(unreadable(error)));
                return;
            }
        };
        self.with_room_for(command, move |group, admitted| {
            let body = match admitted.and_then(|command| group.submit_async_here(command)) {
                Ok(created) => Body::Reserved(wire::put_reserved(&created)),
                Err(rejection) => Body::Failure(wire::put_failure(&rejection)),
            };
            let _ = answer.send(body);
        });
    }

    async fn tell_index(self: Rc<Self>, message: &peer::ReadIndex) -> Result<Body, peer::Failure> {
        let not_leading = || wire::put_failure(&self.no_leader());
        let replica = self.replica().filter(|_| self.leads()).ok_or_else(not_leading)?;
        let index = replica.read_index().await.map_err(|_| not_leading())?;
        let tasks = message.tasks.iter().map(wire::task_id).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        let engine = self.engine.borrow();
        let leased = |task: TaskId| engine.as_ref().is_some_and(|engine| engine.has(task));
        let places = (0u32..).zip(tasks).filter(|(_, task)| leased(*task)).map(|(place, _)| place);
        Ok(Body::ReadAt(ReadAt { index: Some(index), leased: places.collect() }))
    }

    async fn tell_tasks(self: Rc<Self>, message: &peer::ListTasks) -> Result<Body, peer::Failure> {
        let query = wire::list(message).map_err(unreadable)?;
        let page = self.list_here(query).await.map_err(|rejection| wire::put_failure(&rejection))?;
        Ok(Body::ListedTasks(wire::put_listed(&page)))
    }

    async fn tell_namespaces(self: Rc<Self>, message: &peer::ListNamespaces) -> Result<Body, peer::Failure> {
        let views = match wire::namespaces(message).map_err(unreadable)? {
            Namespaces::One(name) => self.namespace_here(name).await.map(|view| vec![view]),
            Namespaces::After(after, limit) => self.namespaces_here(after, limit).await,
        };
        let views = views.map_err(|rejection| wire::put_failure(&rejection))?;
        Ok(Body::ListedNamespaces(wire::put_namespace_views(&views)))
    }

    async fn take_settles(self: Rc<Self>, message: peer::Settle) -> Result<Body, peer::Failure> {
        let (namespace, settles) = wire::settle(message).map_err(unreadable)?;
        if !self.leads() {
            return Err(wire::put_failure(&self.no_leader()));
        }
        Ok(Body::Settled(wire::put_settled(&self.settle_here(&namespace, &settles).await)))
    }
}

pub(super) fn unreadable(error: Malformed) -> peer::Failure {
    tracing::warn!(%error, "a request of another peer cannot be read");
    peer::Failure {
        kind: peer::failure::Kind::Invalid.into(),
        text: format!("a message between peers that cannot be read: {error}"),
        limit: 0,
    }
}
