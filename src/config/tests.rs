//! What an operator relies on: which source wins, that nothing unknown or out of range gets through, and that the help is complete.

use std::ffi::OsString;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

use super::*;

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Invocation, ConfigError> {
    let arguments = std::iter::once("z4").chain(arguments.iter().copied()).map(OsString::from);
    load(arguments, variables.iter().map(|(k, v)| (OsString::from(k), OsString::from(v))))
}

fn config(arguments: &[&str], variables: &[(&str, &str)]) -> Config {
    run(arguments, variables).expect("valid").config
}

fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    run(arguments, variables).expect_err("refused").to_string()
}

fn file(text: &str) -> (tempfile::NamedTempFile, String) {
    let mut file = tempfile::NamedTempFile::new().expect("file");
    file.write_all(text.as_bytes()).expect("written");
    let path = file.path().to_str().expect("utf-8").to_owned();
    (file, path)
}

/// Clients in the field rely on these.
#[test]
fn the_fixed_defaults_hold() {
    let c = config(&[], &[]);
    assert_eq!((c.service_port, c.peer_port, c.metrics_port, c.sql_port), (6355, 6356, 2112, 3306));
    assert_eq!((c.db_data_dir.to_str(), c.peer_data_dir.to_str()), (Some("z4data"), Some("z4peer")));
    assert_eq!((c.peer_id.as_str(), c.peer_advertise_addr.as_str()), ("", ""));
    assert_eq!((c.debug_logging_enabled, c.bootstrap_cluster), (false, false));
    assert_eq!((c.payload_bytes_max, c.metadata_entries_max, c.metadata_bytes_max), (1 << 20, 64, 16 << 10));
    assert_eq!((c.batch_tasks_max, c.batch_bytes_max), (1000, 4 << 20));
    assert_eq!(c, Config::default());
}

/// One option, set differently in each source: taking sources away one by one must uncover the next.
#[test]
fn a_flag_beats_a_variable_beats_the_file_beats_the_default() {
    let (_keep, path) = file("service_port = 3\nshards = 5\n");
    let from_file = ["--config", path.as_str()];
    let variable = [("Z4_SERVICE_PORT", "2")];
    assert_eq!(config(&["--config", &path, "--service-port", "1"], &variable).service_port, 1);
    assert_eq!(config(&from_file, &variable).service_port, 2);
    let c = config(&from_file, &[]);
    assert_eq!((c.service_port, c.shards), (3, 5));
    assert_eq!(config(&[], &[("Z4_CONFIG", &path)]).service_port, 3, "the file may be named by a variable");
    assert_eq!(config(&[], &[]).service_port, 6355);
    assert_eq!(config(&[], &[("Z4_SERVICE_PORT", "")]).service_port, 6355, "an empty variable is none");
}

#[test]
fn flags_without_a_value_and_byte_suffixes_are_understood() {
    assert!(config(&["--bootstrap-cluster"], &[]).bootstrap_cluster);
    assert!(!config(&["--bootstrap-cluster=false"], &[("Z4_BOOTSTRAP_CLUSTER", "true")]).bootstrap_cluster);
    let (_keep, path) = file("payload_bytes_max = \"2MiB\"");
    assert_eq!(config(&["--config", &path], &[]).payload_bytes_max, 2 << 20);
    assert_eq!(config(&["--service-port", "1", "--service-port=2"], &[]).service_port, 2, "the last one counts");
}

/// `--dev` changes defaults: whatever else is said wins, and directories and ports stay.
#[test]
fn dev_is_a_set_of_defaults() {
    let dev = config(&["--dev"], &[]);
    let expected = Config {
        peer_id: "dev".into(),
        bind_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        bootstrap_cluster: true,
        ..Config::default()
    };
    assert_eq!(dev, expected);
    assert_eq!(config(&["--dev"], &[("Z4_PEER_ID", "mine")]).peer_id, "mine");
}

#[test]
fn unknown_names_are_errors_that_say_where_and_what_was_meant() {
    let (_keep, path) = file("servce_port = 1");
    let error = refused(&["--config", &path], &[]);
    assert_eq!(error, format!("servce_port in {path} is unknown, service_port is known; z4 --help lists what there is"));
    let error = refused(&[], &[("Z4_SERVICE_PROT", "1")]);
    assert_eq!(error, "Z4_SERVICE_PROT is unknown, Z4_SERVICE_PORT is known; z4 --help lists what there is");
    assert!(refused(&[], &[("Z4_SHARD", "1")]).starts_with("Z4_SHARD is unknown, Z4_SHARDS is known"));
    assert!(refused(&["--servce-port", "1"], &[]).contains("--service-port"));
    assert_eq!(
        config(&[], &[("PATH", "/bin"), ("Z4T_TARGET", "x")]),
        Config::default(),
        "other programs' variables are not ours"
    );
}

/// Image names and versions share the prefix: they must not keep a peer from starting, nor be passed over in silence.
#[test]
fn a_variable_that_is_like_no_option_is_a_warning() {
    let invocation = run(&[], &[("Z4_IMAGE", "z4:1"), ("Z4_VERSION", "1"), ("Z4_SHARDS", "2"), ("Z4_EMPTY", "")]).expect("valid");
    assert_eq!(
        (invocation.config.shards, invocation.unknown_variables),
        (2, vec!["Z4_IMAGE".to_owned(), "Z4_VERSION".to_owned()])
    );
}

/// `--service-port --dev` once listened on no port and forgot --dev.
#[test]
fn a_flag_is_not_the_value_of_the_one_before() {
    for arguments in [["--service-port", "--dev"], ["--peer-id", "--dev"], ["--db-data-dir", "--dev"]] {
        let error = refused(&arguments, &[]);
        assert!(error.contains("a value is required") && error.contains(arguments[0]), "{error}");
    }
    assert_eq!(config(&["--peer-id=-x-"], &[]).peer_id, "-x-");
}

/// What an operator has to look for in a long file.
#[test]
fn what_is_no_toml_is_told_with_its_place() {
    for (text, told) in [
        ("shards = 1\nservice_port = 2\n\nshards = 3\n", "line 4, column 1: "),
        ("shards = 1\n  groups = = 2\n", "line 2, column "),
        ("shards = ", "line 1, column "),
    ] {
        let (_keep, path) = file(text);
        let error = refused(&["--config", &path], &[]);
        assert!(error.starts_with(&format!("the configuration file {path} is not valid TOML: {told}")), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

/// A peer that is given /dev/zero must say so and not read for ever.
#[test]
fn a_file_without_an_end_is_refused() {
    assert_eq!(refused(&["--config", "/dev/zero"], &[]), "the configuration file /dev/zero cannot be read");
}

/// Go's spellings, which the original takes.
#[test]
fn truth_has_several_spellings() {
    for text in ["true", "True", "TRUE", "t", "T", "1"] {
        assert!(config(&[], &[("Z4_BOOTSTRAP_CLUSTER", text)]).bootstrap_cluster, "{text}");
    }
    for text in ["false", "False", "FALSE", "f", "F", "0"] {
        assert!(!config(&["--dev"], &[("Z4_BOOTSTRAP_CLUSTER", text)]).bootstrap_cluster, "{text}");
    }
}

/// A Kubernetes service called `z4` puts these into each container; the peer must start all the same.
#[test]
fn variables_that_kubernetes_makes_up_are_passed_over() {
    let links = [
        ("Z4_SERVICE_HOST", "10.0.0.1"),
        ("Z4_PORT", "tcp://10.0.0.1:6355"),
        ("Z4_PORT_6355_TCP_ADDR", "10.0.0.1"),
        ("Z4_SERVICE_PORT_GRPC", "6355"),
        ("Z4_SERVICE_PORT", "6355"),
    ];
    assert_eq!(config(&[], &links), Config::default());
}

#[test]
fn values_out_of_range_name_option_value_and_range() {
    for (variable, value, takes) in [
        ("Z4_SERVICE_PORT", "65536", "0 to 65535"),
        ("Z4_SERVICE_PORT", "http", "0 to 65535"),
        ("Z4_PAYLOAD_BYTES_MAX", "17MiB", "1 to 16777216 bytes"),
        ("Z4_SHARDS", "-1", "0 to 256"),
        ("Z4_BOOTSTRAP_CLUSTER", "yes", "true or false"),
        ("Z4_LOG_FORMAT", "xml", "text or json"),
        ("Z4_BIND_ADDRESS", "localhost", "an IPv4 or IPv6 address"),
        ("Z4_KEEPALIVE_TIMEOUT_MS", "1", "1000 to 600000 ms"),
    ] {
        assert_eq!(refused(&[], &[(variable, value)]), format!("{variable} is {value:?}; it takes {takes}"));
    }
    assert_eq!(refused(&["--shards", "-1"], &[]), "--shards is \"-1\"; it takes 0 to 256");
    let (_keep, path) = file("shards = [1]");
    assert_eq!(refused(&["--config", &path], &[]), format!("shards in {path} is \"a TOML array\"; it takes 0 to 256"));
    let (_keep, path) = file("shards = ");
    assert!(refused(&["--config", &path], &[]).contains("is not valid TOML"));
    assert!(refused(&["--config", "/does/not/exist"], &[]).ends_with("cannot be read"));
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    for (arguments, told) in [
        (&["--peer-port", "6355"][..], "peer_port is 6355; service_port is the same; only 0 may be used twice"),
        (&["--db-data-dir", "x", "--peer-data-dir", "x"], "db_data_dir is x; peer_data_dir is the same"),
        (&["--payload-bytes-max", "8MiB"], "payload_bytes_max is 8388608; with metadata_bytes_max 16384"),
        (&["--log-segment-bytes", "4MiB"], "log_segment_bytes is 4194304; an entry must fit"),
        (&["--log-segment-bytes", "16777217"], "log_segment_bytes is 16777217; it takes a multiple of 4096"),
        // Each of these let one request end every leader in turn: its entry was more than the raft log takes.
        (
            &["--batch-bytes-max", "16MiB"],
            "batch_bytes_max is 16777216; with batch_tasks_max 1000 one batch would be an entry of",
        ),
        (
            &["--batch-bytes-max", "13MiB", "--batch-tasks-max", "65536"],
            "batch_bytes_max is 13631488; with batch_tasks_max 65536",
        ),
        (
            &["--payload-bytes-max", "16MiB", "--batch-bytes-max", "16MiB"],
            "payload_bytes_max is 16777216; with metadata_bytes_max",
        ),
        (&["--batch-tasks-max", "65536", "--queued-bytes-max", "5MiB"], "batch_bytes_max is 4194304; with batch_tasks_max 65536"),
        (&["--queued-bytes-max", "1MiB"], "batch_bytes_max is 4194304; queued_bytes_max is less"),
        (&["--window-bytes", "1MiB"], "window_namespace_bytes is 4194304; window_bytes is less"),
        (&["--peer-id", "a b"], "peer_id is \"a b\"; it takes up to 64"),
        (&["--peer-advertise-addr", "peer"], "peer_advertise_addr is \"peer\"; it takes host:port"),
        (&["--peer-advertise-addr", "http://x:1"], "peer_advertise_addr is \"http://x:1\"; it takes host:port"),
        (&["--peer-advertise-addr", "a b:1"], "peer_advertise_addr is \"a b:1\"; it takes host:port"),
        (&["--peer-advertise-addr", "0.0.0.0:0"], "peer_advertise_addr is \"0.0.0.0:0\"; it takes host:port"),
        (&["--service-advertise-addr", "[::]:1"], "service_advertise_addr is \"[::]:1\"; it takes host:port"),
    ] {
        let error = refused(arguments, &[]);
        assert!(error.starts_with(told), "{arguments:?}: {error}");
    }
    for out_of_range in [["--batch-tasks-max", "65537"], ["--batch-bytes-max", "20MiB"], ["--entry-bytes-max", "17MiB"]] {
        assert!(refused(&out_of_range, &[]).contains("it takes"), "{out_of_range:?}");
    }
    assert_eq!(config(&["--batch-bytes-max", "15MiB", "--payload-bytes-max", "14MiB"], &[]).batch_bytes_max, 15 << 20);
    assert_eq!(config(&["--service-port=0", "--peer-port=0", "--metrics-port=0", "--sql-port=0"], &[]).peer_port, 0);
}

/// The help is the reference: an option that it leaves out, or whose default lies outside its own range, could not be used.
#[test]
fn the_help_tells_every_option_with_variable_default_and_range() {
    let help = refused(&["--help"], &[]);
    let help: String = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut defaults = Config::default();
    for option in Spec::all() {
        let default = Config::default().get(option.name).expect("known");
        assert!(!option.help.trim().is_empty(), "{} has no help", option.name);
        defaults.set(option.name, &default).unwrap_or_else(|| panic!("{}: its default {default} is refused", option.name));
        let facts = format!("[env: {}] [default: {default}{}] [{}]", option.variable(), option.unit.suffix(), option.range());
        let facts: String = facts.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(&facts), "{facts} is missing");
        assert!(help.contains(&format!("--{}", option.flag())), "{} is missing", option.flag());
    }
    assert_eq!(defaults, Config::default());
}

/// The printed configuration is a file that gives the same configuration.
#[test]
fn the_printed_configuration_reads_back() {
    let given = config(&["--dev", "--db-data-dir", "a \"b\"\\c\u{7f}", "--log-format=json", "--shards=3"], &[]);
    let (_keep, path) = file(&given.to_toml());
    assert_eq!(config(&["--config", &path], &[]), given);
    assert!(run(&["--print-config"], &[]).expect("valid").print_config);
}
