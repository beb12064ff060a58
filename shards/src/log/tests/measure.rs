//! What the log costs beside the bare disk. Run by hand, without other load:
//! `CARGO_PROFILE_DEV_OPT_LEVEL=3 cargo nextest run -p z4-shards measure --run-ignored all --no-capture`, with `TMPDIR` on the
//! disk in question.
