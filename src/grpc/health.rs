//! `grpc.health.v1`, as load balancers ask it: true in the moment of the question, and told to those who watch when it changes.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};
use send_wrapper::SendWrapper;
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

/// The state of a service by its name.
fn status(context: &Context, service: &str) -> ServingStatus {
    match context.cluster.serving() {
        _ if !SERVICE_NAMES.contains(&service) => ServingStatus::ServiceUnknown,
        Ok(()) => ServingStatus::Serving,
        Err(_) => ServingStatus::NotServing,
    }
}

fn told(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[async_trait]
impl Health for HealthService {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        match status(&self.context, &service) {
            ServingStatus::ServiceUnknown => Err(Status::not_found(format!("service {service:?} is none of this peer's"))),
            status => Ok(Response::new(told(status))),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Told> + Send>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (context, service) = (Arc::clone(&self.context), request.into_inner().service);
        let changes = stream::unfold(None, move |last| {
            let (context, service) = (Arc::clone(&context), service.clone());
            async move {
                loop {
                    let now = status(&context, &service);
                    if last != Some(now) {
                        return Some((Ok(told(now)), Some(now)));
                    }
                    executor::sleep(LOOK).await;
                }
            }
        });
        Ok(Response::new(Box::pin(SendWrapper::new(changes))))
    }
}
