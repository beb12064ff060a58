//! The raft log's records, without disk: encoding as the writer does it, and scanning with checksums as a recovery does it.
//!
//! `cargo bench -p z4-bench --bench log`

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use z4_model::ids::GroupId;
use z4_model::log::{LogEntry, LogPayload, LogPosition};
use z4_shards::log::bytes::{encode_entry_record, scan_records};

const RECORDS: usize = 100;

fn records(c: &mut Criterion) {
    for payload_bytes in [300, 16 << 10] {
        let position = LogPosition { term: 1, leader: 1, index: 1 };
        let entry = LogEntry { position, payload: LogPayload::Normal(Bytes::from(vec![7; payload_bytes])) };
        let mut out = vec![0; RECORDS * (payload_bytes + 64)];
        let encode = |out: &mut [u8]| {
            let mut end = 0;
            for _ in 0..RECORDS {
                end += encode_entry_record(GroupId(1), black_box(&entry), &mut out[end..]);
            }
            end
        };
        let end = encode(&mut out);
        assert_eq!(scan_records(&out[..end]), RECORDS, "what was encoded is scanned");
        let mut group = c.benchmark_group(format!("log/{RECORDS} records of {payload_bytes} bytes"));
        group.throughput(Throughput::Bytes(end as u64));
        group.bench_function("encode", |b| b.iter(|| encode(black_box(&mut out))));
        group.bench_function("scan", |b| b.iter(|| scan_records(black_box(&out[..end]))));
        group.finish();
    }
}

criterion_group!(benches, records);
criterion_main!(benches);
