//! Tests of the whole log on real files. Each life of a log has an executor of its own: when a life ends without `close`, its
//! executor is dropped with everything that is under way, as when a process is killed.

mod basics;
mod copy_forward;
mod damage;
mod faults;
mod measure;
mod model;
mod segments;
mod support;
mod torn_tail;
mod weigh;
