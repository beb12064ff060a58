//! People who change their minds: they move, delete and look at tasks that were created lately.

use z4_proto::{DeleteTaskRequest, GetTaskRequest, UpdateTaskRequest};

use super::{DUE_MS, Load, Target, in_time};
use crate::harness::{now_ms, timestamp};
use crate::history::What;

impl Load {
    pub(super) async fn change_minds(&self) {
        while self.wild.get() {
            self.pause(60).await;
            let count = self.known.borrow().len() as u64;
            if count == 0 {
                continue;
            }
            let (namespace, id) = self.known.borrow()[self.chance(count) as usize].clone();
            let target = self.target();
            match self.chance(10) {
                0..6 => self.look(&target, namespace, id).await,
                6..9 => self.move_task(&target, namespace, id).await,
                _ => self.delete(&target, namespace, id).await,
            }
        }
    }

    async fn look(&self, target: &Target, namespace: String, task_id: String) {
        let call = self.call();
        self.record(&target.id, What::Get { call, id: task_id.clone() });
        let request = GetTaskRequest { namespace, task_id, ..GetTaskRequest::default() };
        let answer = in_time(target.client.tasks.clone().get_task(request)).await;
        self.record(&target.id, ending(call, answer.map(|_| What::Got { call })));
    }

    async fn move_task(&self, target: &Target, namespace: String, task_id: String) {
        let call = self.call();
        let due_ms = now_ms() + self.chance(DUE_MS);
        self.record(&target.id, What::Update { call, id: task_id.clone(), due_ms });
        let request =
            UpdateTaskRequest { namespace, task_id, deliver_at: Some(timestamp(due_ms)), ..UpdateTaskRequest::default() };
        let answer = in_time(target.client.tasks.clone().update_task(request)).await;
        self.record(&target.id, ending(call, answer.map(|_| What::Updated { call })));
    }

    async fn delete(&self, target: &Target, namespace: String, task_id: String) {
        let call = self.call();
        self.record(&target.id, What::Delete { call, id: task_id.clone() });
        let request = DeleteTaskRequest { namespace, task_id, expected_version: 0 };
        let answer = in_time(target.client.tasks.clone().delete_task(request)).await;
        self.record(&target.id, ending(call, answer.map(|_| What::Deleted { call })));
    }
}

fn ending(call: u64, answer: Result<What, tonic::Status>) -> What {
    answer.unwrap_or_else(|status| What::Failed { call, code: status.code() as i32 })
}
