//! The rules of the tree that no compiler knows: which folder may name which dependency, which way the arrows point, how long a file
//! may be, where metric names live. Each failure names file, line and rule.
//!
//! Code is searched line by line, without comments and without the tests at the end of a file: prose may name anything.

mod circles;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 600;

/// A source file, and its path from the root.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Numbered lines of code that is not a test.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let whole = if self.path.ends_with("/tests.rs") || self.path.contains("/tests/") { "" } else { self.text.as_str() };
        let tests = whole.find("#[cfg(test)]\nmod tests {").unwrap_or(whole.len());
        let lines = whole[..tests].lines().enumerate().map(|(n, line)| (n + 1, line));
        lines.map(|(n, line)| (n, line.split("//").next().unwrap_or_default()))
    }

    /// Nothing in it is part of the product.
    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.ends_with("tests.rs") || ["testing.rs", "fake.rs", "fakes.rs"].contains(&name) || self.path.contains("/tests/")
    }

    fn is_below(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str, ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                let text = std::fs::read_to_string(&path).expect("readable");
                let path = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "no .{ending} file below {folder}: the rule would hold for nothing");
    found
}

/// Every Rust file of ours.
fn sources() -> Vec<Source> {
    ["src", "shards/src", "shards/model/src", "proto/src", "bench", "tests"]
        .into_iter()
        .flat_map(|folder| files(folder, "rs"))
        .collect()
}

/// The product, without tests and benches.
fn product() -> Vec<Source> {
    ["src", "shards/src", "shards/model/src", "proto/src"].into_iter().flat_map(|folder| files(folder, "rs")).collect()
}

/// How often `word` stands in `line`, not as a part of a longer name.
fn times(line: &str, word: &str) -> usize {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let whole = |at: usize| !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part);
    line.match_indices(word).filter(|(at, _)| whole(*at)).count()
}

fn names(line: &str, word: &str) -> bool {
    times(line, word) > 0
}

/// The files of one module below `folder`.
fn module_files(folder: &str, module: &str) -> Vec<Source> {
    let own = [format!("{folder}/{module}/"), format!("{folder}/{module}.rs")];
    files(folder, "rs").into_iter().filter(|source| own.iter().any(|own| source.path.starts_with(own.as_str()))).collect()
}

/// A package's Cargo.toml. The root's is the workspace's, too; only what follows `[package]` is the package's own.
struct Manifest {
    own: String,
}

fn manifest(folder: &str) -> Manifest {
    let text = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("readable");
    Manifest { own: text.split_once("[package]").expect("a package").1.to_owned() }
}

impl Manifest {
    /// The crates that a section names.
    fn names(&self, section: &str) -> Vec<String> {
        let Some((_, rest)) = self.own.split_once(&format!("\n{section}\n")) else { return Vec::new() };
        let lines = rest.lines().take_while(|line| !line.starts_with('['));
        let names = lines.map(|line| line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned());
        names.filter(|name| !name.is_empty() && name != "#").collect()
    }
}

fn verdict(rule: &str, found: impl IntoIterator<Item = String>) {
    let list = found.into_iter().fold(String::new(), |mut list, place| {
        let _ = writeln!(list, "  {place}");
        list
    });
    assert!(list.is_empty(), "{rule}\n{list}");
}

/// Lines of code that name `word` in files outside `folders`.
fn strays(sources: &[Source], word: &str, folders: &[&str]) -> Vec<String> {
    let outside = sources.iter().filter(|s| !s.is_below(folders));
    outside.flat_map(|s| s.code().filter(|(_, l)| names(l, word)).map(|(n, l)| format!("{}:{n}: {}", s.path, l.trim()))).collect()
}

#[test]
fn each_dependency_is_named_in_one_folder_only() {
    let sources = product();
    for (word, folders) in [
        ("glommio", &["shards/src/runtime/"][..]),
        ("fjall", &["shards/src/partition/"]),
        ("openraft", &["shards/src/raft/", "shards/src/runtime/"]),
        ("openraft_rt", &["shards/src/raft/", "shards/src/runtime/"]),
        ("openraft_rt_tokio", &["shards/src/raft/", "shards/src/runtime/"]),
        ("clap", &["src/config/", "src/bin/z4t", "src/tool/"]),
        ("rlimit", &["src/process/"]),
        ("opensrv_mysql", &["src/sql/wire/"]),
        // Connections are compressed, and COMPRESS is a function.
        ("flate2", &["src/sql/wire/", "src/sql/sqlite/functions/compress.rs"]),
        ("zstd", &["src/sql/wire/"]),
        ("sqlparser", &["src/sql/dialect/"]),
        ("rusqlite", &["src/sql/sqlite/"]),
    ] {
        verdict(&format!("{word} is named only below {}", folders.join(", ")), strays(&sources, word, folders));
    }
}

/// The model must give the same bytes on every replica: it has no clock, no randomness, no IO. What its manifest does not name it cannot
/// have; the standard library it has anyway.
#[test]
fn the_model_is_pure() {
    let manifest = manifest("shards/model");
    for (section, allowed) in
        [("[dependencies]", &["bytes", "thiserror", "xxhash-rust"][..]), ("[dev-dependencies]", &["proptest"])]
    {
        let others = manifest.names(section).into_iter().filter(|name| !allowed.contains(&name.as_str()));
        verdict(&format!("the model's {section} are {}", allowed.join(", ")), others);
    }
    let model = files("shards/model/src", "rs");
    for word in ["Instant", "SystemTime", "RandomState", "thread", "File", "fs", "async", "await"] {
        verdict(&format!("the model does not know {word}"), strays(&model, word, &[]));
    }
}

/// The model's files build on each other in one order: what stands left never names what stands right.
#[test]
fn arrows_inside_the_model_point_one_way() {
    let order = ["ids", "encoding", "settings", "log", "rows", "keys", "command", "machine"];
    for (place, module) in order.into_iter().enumerate() {
        let own = module_files("shards/model/src", module);
        for other in &order[place + 1..] {
            verdict(&format!("{module} does not use {other}"), strays(&own, &format!("crate::{other}"), &[]));
        }
    }
}

/// `{partition, log} <- raft <- shard`: what stands left never names what stands right; and what knows nothing of z4 does not name the
/// model.
#[test]
fn arrows_inside_shards_point_one_way() {
    for (module, forbidden) in [
        ("runtime", &["z4_model", "crate::partition", "crate::log", "crate::raft", "crate::shard"][..]),
        ("metrics", &["z4_model::machine", "crate::partition", "crate::log", "crate::raft", "crate::shard", "crate::runtime"]),
        ("partition", &["crate::log", "crate::raft", "crate::shard"]),
        ("log", &["z4_model::machine", "crate::partition", "crate::raft", "crate::shard"]),
        ("raft", &["crate::shard"]),
    ] {
        let own = module_files("shards/src", module);
        for other in forbidden {
            verdict(&format!("{module} does not use {other}"), strays(&own, other, &[]));
        }
    }
}

/// Files that need each other can only be understood, tested and moved together.
#[test]
fn files_import_each_other_in_no_circle() {
    // Circles of before: the folder that they are in, and how many files are in them. These numbers only get smaller.
    let known = BTreeMap::from([
        ("shards/src/link", 2),
        ("shards/src/partition", 4),
        ("shards/src/raft", 7),
        ("shards/src/shard", 50),
        ("shards/src/storage", 2),
        ("src/boot", 6),
        ("src/client", 8),
        ("src/grpc", 17),
        ("src/links", 3),
    ]);
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in ["shards/model/src", "shards/src", "src"] {
        for circle in circles::Crate::new(folder, &files(folder, "rs")).circles() {
            let folders = circle.iter().map(|file| Path::new(file).parent().expect("a folder"));
            let common = folders.min_by_key(|folder| folder.components().count()).expect("two files or more");
            let files = found.entry(common.to_string_lossy().into_owned()).or_default();
            files.extend(circle.iter().map(|file| (*file).to_owned()));
        }
    }
    // SQL is not held to it yet.
    found.retain(|folder, _| !folder.starts_with("src/sql"));
    let more = found.iter().filter(|(folder, files)| known.get(folder.as_str()).is_none_or(|most| files.len() > *most));
    let more = more.map(|(folder, files)| format!("{} files in {folder}: {}", files.len(), files.join(", ")));
    verdict("no file imports one that imports it, directly or by others, but for those that did before", more);
    let fewer = known.iter().filter(|(folder, most)| found.get(**folder).map_or(0, Vec::len) < **most);
    verdict(
        "there are fewer circles than this rule says: let it say so",
        fewer.map(|(folder, most)| format!("{folder}: {most}")),
    );
}

/// What must hold is said where the machine can check it: `assert!`, `debug_assert!` and `const _: () = assert!(…)` in the product.
#[test]
fn assertions_only_become_more() {
    // How many there are. Whoever adds some raises it; nobody lowers it.
    const ASSERTIONS: usize = 59;
    const KINDS: [&str; 6] = ["assert", "assert_eq", "assert_ne", "debug_assert", "debug_assert_eq", "debug_assert_ne"];
    let product = product();
    let code = product.iter().filter(|source| !source.is_test()).flat_map(|source| source.code().map(|(_, line)| line));
    let found: usize = code.map(|line| KINDS.iter().map(|kind| times(line, kind)).sum::<usize>()).sum();
    assert!(found >= ASSERTIONS, "the product has {found} assertions, and had {ASSERTIONS}");
    assert!(found < ASSERTIONS + 10, "the product has {found} assertions: say so here, so that they stay");
}

/// Between the layers of SQL stand plain values: `wire` knows `dialect` and `sqlite`, these know neither each other nor `wire`.
#[test]
fn arrows_inside_sql_point_one_way() {
    for (module, forbidden) in
        [("dialect", &["sql::sqlite", "sql::wire", "sql::peer"][..]), ("sqlite", &["sql::dialect", "sql::wire", "sql::peer"])]
    {
        for other in forbidden {
            let own = files(&format!("src/sql/{module}"), "rs");
            verdict(&format!("{module} does not use {other}"), strays(&own, &format!("crate::{other}"), &[]));
        }
    }
}

/// `{proto, model} <- shards <- z4 <- {bench, tests}`.
#[test]
fn arrows_between_crates_point_one_way() {
    for (folder, allowed) in [
        ("proto", &[][..]),
        ("shards/model", &[]),
        ("shards", &["z4-model", "z4-proto"]),
        ("", &["z4-model", "z4-proto", "z4-shards"]),
    ] {
        let named =
            ["[dependencies]", "[dev-dependencies]", "[build-dependencies]"].map(|section| manifest(folder).names(section));
        let ours = named.into_iter().flatten().filter(|name| *name == "z4" || name.starts_with("z4-"));
        let others = ours.filter(|name| !allowed.contains(&name.as_str()));
        verdict(&format!("of ours, {folder}/Cargo.toml names only {}", allowed.join(", ")), others);
    }
}

/// A thread that looks again and again for what another one has to do waits for ever when that one looks for it, too. What waits is
/// told: by a channel, a mailbox's lane, a timer.
#[test]
fn nobody_spins() {
    // The pulse wakes executors at its interval and waits for nobody.
    for word in ["thread::yield_now", "spin_loop", "thread::sleep"] {
        verdict(
            &format!("{word} waits for nobody in the product"),
            strays(&product_code(), word, &["shards/src/runtime/real/pulse.rs"]),
        );
    }
}

/// The product without its files of tests.
fn product_code() -> Vec<Source> {
    product().into_iter().filter(|source| !source.path.ends_with("_tests.rs")).collect()
}

#[test]
fn files_are_short_enough_to_read() {
    let long = sources().into_iter().map(|s| (s.text.lines().count(), s.path)).filter(|(lines, _)| *lines > LINES_MAX);
    verdict(&format!("a file has at most {LINES_MAX} lines"), long.map(|(lines, path)| format!("{path}: {lines} lines")));
}

#[test]
fn folders_are_at_most_two_deep() {
    let deep = product().into_iter().map(|s| s.path).filter(|path| {
        // SQL is the peer's only part that has parts of its own.
        let base = ["src/sql/sqlite/", "src/sql/", "src/"].into_iter().find_map(|base| path.split_once(base));
        let below = base.map_or("", |(_, below)| below);
        below.matches('/').count() > 2
    });
    verdict("at most two folders below any src/, src/sql/ and src/sql/sqlite/", deep);
}

/// What is not finished is an issue, not a note in the code.
#[test]
fn nothing_is_left_undone() {
    // Put together here, so that this file does not hold them.
    let words =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("unimplement", "ed!"), concat!("to", "do!")];
    let undone = sources().into_iter().flat_map(|s| {
        let lines = s.text.lines().enumerate().filter(|(_, l)| words.iter().any(|w| l.contains(w)));
        lines.map(|(n, l)| format!("{}:{}: {}", s.path, n + 1, l.trim())).collect::<Vec<_>>()
    });
    verdict("nothing is left undone", undone);
}

/// The names that `shards/src/metrics.rs` gives to metrics.
fn metric_names() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("shards/src/metrics.rs")).expect("readable");
    let source = Source { path: "shards/src/metrics.rs".into(), text };
    let quoted = source.code().flat_map(|(_, line)| line.split('"').skip(1).step_by(2));
    let names: Vec<String> = quoted.filter(|n| n.starts_with("z4_") || n.starts_with("process_")).map(str::to_owned).collect();
    assert!(names.len() > 20, "{names:?}");
    names
}

#[test]
fn metric_names_stand_in_one_file() {
    let sources = product();
    for name in metric_names() {
        verdict(
            &format!("the metric {name} is named in shards/src/metrics.rs only"),
            strays(&sources, &name, &["shards/src/metrics.rs"]),
        );
    }
}

/// The metrics that the dashboard asks for.
fn metrics_on_the_dashboard() -> Vec<String> {
    let dashboard = std::fs::read_to_string(root().join("deploy/grafana-dashboard.json")).expect("readable");
    let words = dashboard.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|w| w.starts_with("z4_") || w.starts_with("process_")).map(str::to_owned).collect()
}

/// What a histogram's series are called after.
fn metric_of(series: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|s| series.strip_suffix(s)).unwrap_or(series)
}

/// A dashboard that asks for a metric which does not exist shows an empty panel, and nobody notices.
#[test]
fn the_dashboard_shows_metrics_that_exist() {
    let known = metric_names();
    let unknown = metrics_on_the_dashboard().into_iter().filter(|word| !known.iter().any(|k| k == word || k == metric_of(word)));
    verdict("the dashboard asks for metrics of shards/src/metrics.rs", unknown);
}

/// What an operator should see is not seen when it is only counted.
#[test]
fn every_metric_is_on_the_dashboard() {
    let shown = metrics_on_the_dashboard();
    let hidden = metric_names().into_iter().filter(|name| !shown.iter().any(|word| word == name || metric_of(word) == name));
    verdict("deploy/grafana-dashboard.json shows every metric of shards/src/metrics.rs", hidden);
}
