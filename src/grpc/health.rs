//! `grpc.health.v1`, as load balancers ask it: true in the moment of the question, and told to those who watch when it changes.

use std::cell::RefCell;
use std::future::ready;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tokio::sync::watch;
use tonic::{Request, Response, Status, async_trait};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use z4_shards::runtime::executor;

use super::services::Context;

/// The names under which it answers, besides the empty one for the whole peer.
const SERVICE_NAMES: [&str; 3] = ["", "z4.Collection", "z4.Admin"];

/// Who watches hears of a change after this at the latest.
const LOOK: Duration = Duration::from_millis(100);

type Told = Result<HealthCheckResponse, Status>;

/// The service.
#[derive(Clone)]
pub(super) struct HealthService {
    context: Arc<Context>,
}

impl HealthService {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

/// The status of each service.
fn status(context: &Context) -> ServingStatus {
    if context.cluster.serving().is_ok() { ServingStatus::Serving } else { ServingStatus::NotServing }
}

/// What all who watch on one executor are told: one task looks, however many they are, for as long as there is one.
struct Looking {
    context: Arc<Context>,
    status: watch::Sender<ServingStatus>,
}

thread_local! {
    static LOOKING: RefCell<Weak<Looking>> = const { RefCell::new(Weak::new()) };
}

impl Looking {
    /// One more watches on this executor.
    fn join(context: &Arc<Context>) -> watch::Receiver<ServingStatus> {
        let there = LOOKING.with_borrow(Weak::upgrade).filter(|looking| Arc::ptr_eq(&looking.context, context));
        if let Some(looking) = there {
            return looking.status.subscribe();
        }
        let (sender, receiver) = watch::channel(status(context));
        let looking = Rc::new(Looking { context: Arc::clone(context), status: sender });
        LOOKING.set(Rc::downgrade(&looking));
        executor::spawn(looking.look());
        receiver
    }

    async fn look(self: Rc<Self>) {
        while self.status.receiver_count() > 0 {
            executor::sleep(LOOK).await;
            let now = status(&self.context);
            self.status.send_if_modified(|told| std::mem::replace(told, now) != now);
        }
    }
}

fn told(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[async_trait]
impl Health for HealthService {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        match SERVICE_NAMES.contains(&&*service) {
            true => Ok(Response::new(told(status(&self.context)))),
            false => Err(Status::not_found(format!("service {service:?} is none of this peer's"))),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Told> + Send>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        if !SERVICE_NAMES.contains(&&*request.into_inner().service) {
            // As the protocol has it, the stream goes on.
            let unknown = stream::once(ready(Ok(told(ServingStatus::ServiceUnknown)))).chain(stream::pending());
            return Ok(Response::new(Box::pin(unknown) as Self::WatchStream));
        }
        let changes = stream::unfold((Looking::join(&self.context), None), |(mut looking, last)| async move {
            loop {
                let now = *looking.borrow_and_update();
                if last != Some(now) {
                    return Some((Ok(told(now)), (looking, Some(now))));
                }
                looking.changed().await.ok()?;
            }
        });
        Ok(Response::new(Box::pin(changes)))
    }
}

#[cfg(test)]
mod tests {
    //! Load balancers watch without being asked how many they are: what a peer does for them must not grow with their number.
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

    use z4_shards::runtime::clock;

    use super::*;
    use crate::grpc::fakes;
    use crate::grpc::{ClusterView, Me};

    #[derive(Default)]
    struct Counting {
        asked: AtomicU32,
        serves: AtomicBool,
    }

    impl ClusterView for Counting {
        fn me(&self) -> Me {
            Me::default()
        }

        fn serving(&self) -> Result<(), String> {
            self.asked.fetch_add(1, SeqCst);
            if self.serves.load(SeqCst) { Ok(()) } else { Err("it starts".to_owned()) }
        }
    }

    const WATCHERS: usize = 1_000;

    type Watching = <HealthService as Health>::WatchStream;

    async fn watch(service: &HealthService, name: &str) -> Watching {
        let request = HealthCheckRequest { service: name.to_owned() };
        service.watch(Request::new(request)).await.expect("whoever asks may watch").into_inner()
    }

    async fn all_hear(watchers: &mut [Watching], status: ServingStatus) {
        for watcher in watchers {
            let told = watcher.next().await.expect("it goes on").expect("a word");
            assert_eq!(told.status(), status);
        }
    }

    #[test]
    fn one_look_is_for_all_who_watch_and_there_is_none_when_nobody_does() {
        let cluster = Arc::<Counting>::default();
        let seen = Arc::clone(&cluster);
        let watching = move || async move {
            let since = clock::monotonic();
            let service = HealthService::new(fakes::context_seen(Arc::clone(&seen) as Arc<dyn ClusterView>));
            let mut watchers = Vec::new();
            for n in 0..WATCHERS {
                watchers.push(watch(&service, SERVICE_NAMES[n % SERVICE_NAMES.len()]).await);
            }
            all_hear(&mut watchers, ServingStatus::NotServing).await;
            seen.serves.store(true, SeqCst);
            all_hear(&mut watchers, ServingStatus::Serving).await;
            seen.serves.store(false, SeqCst);
            all_hear(&mut watchers, ServingStatus::NotServing).await;
            // A look comes when at least `LOOK` has passed since the last one.
            let looks = since.elapsed().as_millis() / LOOK.as_millis() + 2;
            assert!(u128::from(seen.asked.load(SeqCst)) <= looks, "{looks} looks: {}", seen.asked.load(SeqCst));
            drop(watchers);
            while LOOKING.with_borrow(Weak::upgrade).is_some() {
                executor::sleep(LOOK).await;
            }
            let asked = seen.asked.load(SeqCst);
            let mut unknown = watch(&service, "nobody's").await;
            all_hear(std::slice::from_mut(&mut unknown), ServingStatus::ServiceUnknown).await;
            assert_eq!(seen.asked.load(SeqCst), asked, "the name says it all");
            let mut again = watch(&service, "").await;
            all_hear(std::slice::from_mut(&mut again), ServingStatus::NotServing).await;
        };
        executor::start("watching", 0, watching).expect("an executor").join().expect("it ends");
        assert!(cluster.asked.load(SeqCst) > 0);
    }
}
