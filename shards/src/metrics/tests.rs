//! Counts that go wrong go wrong silently: only whoever looks at a graph could notice.

use super::*;

fn namespace(n: usize) -> Namespace {
    Namespace::new(&format!("namespace-{n:04}")).expect("valid")
}

fn line(text: &str, start: &str) -> String {
    text.lines().find(|l| l.starts_with(start)).unwrap_or_else(|| panic!("no {start} in\n{text}")).to_owned()
}

/// Two shards meet 1,000 namespaces, each in its own order. A label for each would make the scrape grow with the users' data; a
/// thread that keeps its own idea of who has a label would count one namespace under two.
#[test]
fn namespace_labels_are_bounded_and_agree_between_threads() {
    let metrics = Metrics::new("1").expect("registers");
    let (a, b) = (metrics.shard(), metrics.shard());
    for n in 0..1000 {
        a.creates.add(CreateMethod::CreateTask, &namespace(n), 1);
    }
    for n in (0..1000).rev() {
        b.creates.add(CreateMethod::CreateTask, &namespace(n), 10);
        b.deliveries.add(DeliverMethod::Consume, &namespace(n), 1);
    }
    let text = metrics.encode().expect("encodes");
    let creates: Vec<&str> = text.lines().filter(|l| l.starts_with("z4_create_task_request_total{")).collect();
    assert_eq!(creates.len(), NAMESPACE_LABELS_MAX + 1);
    let all: u64 = creates.iter().map(|l| l.rsplit(' ').next().expect("value").parse::<u64>().expect("number")).sum();
    assert_eq!(all, 11_000, "every task is counted once");
    for n in [0, 199] {
        let one = line(&text, &format!("z4_create_task_request_total{{method=\"CreateTask\",namespace=\"namespace-{n:04}\"}}"));
        assert!(one.ends_with(" 11"), "{one}");
    }
    let other = line(&text, "z4_create_task_request_total{method=\"CreateTask\",namespace=\"_other\"}");
    assert!(other.ends_with(" 8800"), "{other}");
    assert!(a.creates.own.borrow().len() <= NAMESPACE_LABELS_MAX, "a shard's memory is bounded, too");
}

/// Methods index a table of names: a missing or swapped name would count under a wrong one or panic.
#[test]
fn every_method_has_its_name() {
    let creates = [
        CreateMethod::CreateTask,
        CreateMethod::CreateTaskAsync,
        CreateMethod::CreateTaskStream,
        CreateMethod::CreateTaskStreamAsync,
        CreateMethod::CreateTasks,
    ];
    assert_eq!(creates.map(|m| format!("{m:?}")).as_slice(), CreateMethod::NAMES);
    let deliveries = [DeliverMethod::GetTaskStream, DeliverMethod::Consume, DeliverMethod::LeaseTasks];
    assert_eq!(deliveries.map(|m| format!("{m:?}")).as_slice(), DeliverMethod::NAMES);
}

/// What a shard records must reach the scrape, in the bucket where it belongs.
#[test]
fn local_observations_arrive_at_the_flush() {
    let metrics = Metrics::new("1").expect("registers");
    let shard = metrics.shard();
    shard.lateness_seconds.observe(0.000_07);
    shard.flush();
    metrics.group(GroupId(3)).dead.set(7);
    metrics.log_bytes(1).set(4096);
    let text = metrics.encode().expect("encodes");
    assert_eq!(line(&text, "z4_lateness_seconds_bucket{le=\"0.00005\"}"), "z4_lateness_seconds_bucket{le=\"0.00005\"} 0");
    assert_eq!(line(&text, "z4_lateness_seconds_bucket{le=\"0.0001\"}"), "z4_lateness_seconds_bucket{le=\"0.0001\"} 1");
    assert_eq!(line(&text, "z4_tasks{group=\"3\",state=\"dead\"}"), "z4_tasks{group=\"3\",state=\"dead\"} 7");
    assert_eq!(line(&text, "z4_log_bytes{"), "z4_log_bytes{shard=\"1\"} 4096");
    assert_eq!(line(&text, "z4_build_info"), "z4_build_info{version=\"1\"} 1");
}
