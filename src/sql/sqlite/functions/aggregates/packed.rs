//! `z4_pack(a, b, …)`: rows in one value, which the table `z4_rows` has again.

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};

use super::super::args::{Args, Out, PACKET_MAX, fault};
use crate::sql::error::SqlError;
use crate::sql::sqlite::memory::Charge;
use crate::sql::sqlite::packed;

pub(super) fn register(connection: &Connection, flags: FunctionFlags) -> Result<()> {
    connection.create_aggregate_function("z4_pack", -1, flags, Pack)
}

struct Pack;

#[derive(Default)]
struct Rows {
    bytes: Vec<u8>,
    charge: Charge,
}

impl Aggregate<Rows, Out> for Pack {
    fn init(&self, _: &mut Context<'_>) -> Result<Rows> {
        Ok(Rows::default())
    }

    fn step(&self, call: &mut Context<'_>, rows: &mut Rows) -> Result<()> {
        let args = Args(call);
        let before = rows.bytes.len();
        if before == 0 {
            packed::push(&mut rows.bytes, ValueRef::Integer(i64::try_from(args.len()).unwrap_or(0)));
        }
        for at in 0..args.len() {
            packed::push(&mut rows.bytes, args.value(at));
        }
        rows.charge.grow(rows.bytes.len() - before);
        if rows.bytes.len() > PACKET_MAX {
            let text = format!("The rows of a LATERAL query for one row are longer than max_allowed_packet ({PACKET_MAX})");
            return Err(fault(&SqlError::new(1301, "HY000", text)));
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, rows: Option<Rows>) -> Result<Out> {
        Ok(rows.map_or(Out::Null, |rows| Out::Blob(rows.bytes)))
    }
}
