//! Metadata as JSON text, straight from its packed bytes.

use z4_model::encoding::Malformed;

/// Appends a JSON object of strings.
///
/// # Errors
/// Bytes that are no packed metadata.
pub fn write_json(packed: &[u8], out: &mut String) -> Result<(), Malformed> {
    out.push('{');
    let mut rest = packed;
    if !packed.is_empty() {
        let count = varint(&mut rest)?;
        for i in 0..count {
            if i > 0 {
                out.push_str(", ");
            }
            write_string(text(&mut rest)?, out);
            out.push_str(": ");
            write_string(text(&mut rest)?, out);
        }
        if !rest.is_empty() {
            return Err(Malformed("bytes follow the metadata"));
        }
    }
    out.push('}');
    Ok(())
}

fn varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first().ok_or(Malformed("metadata ends early"))?;
        *rest = tail;
        n |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(n);
        }
    }
    Err(Malformed("a number of the metadata has more than 64 bits"))
}

fn text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, Malformed> {
    let len = usize::try_from(varint(rest)?).map_err(|_| Malformed("a length of the metadata goes past the end"))?;
    let (text, tail) = rest.split_at_checked(len).ok_or(Malformed("a length of the metadata goes past the end"))?;
    *rest = tail;
    std::str::from_utf8(text).map_err(|_| Malformed("metadata is not UTF-8"))
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            8 => "\\b",
            12 => "\\f",
            0..=31 => "",
            _ => continue,
        };
        // What is escaped is ASCII, so both cuts are between characters.
        out.push_str(text.get(from..at).unwrap_or_default());
        from = at + 1;
        if escape.is_empty() {
            out.push_str(&format!("\\u{byte:04x}"));
        } else {
            out.push_str(escape);
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out.push('"');
}

#[cfg(test)]
mod tests {
    //! Every string that a producer may send must come out of a JSON parser as it went in, and no bytes may panic.

    use proptest::prelude::*;
    use z4_model::rows::metadata::pack_metadata;

    use super::*;

    fn json(packed: &[u8]) -> Result<String, Malformed> {
        let mut out = String::new();
        write_json(packed, &mut out).map(|()| out)
    }

    #[test]
    fn it_looks_like_mysqls() {
        assert_eq!(json(b"").as_deref(), Ok("{}"));
        let packed = pack_metadata([("a", "1"), ("b\"", "\u{1}\n\\é")].into_iter());
        assert_eq!(json(&packed).as_deref(), Ok(r#"{"a": "1", "b\"": "\u0001\n\\é"}"#));
    }

    proptest! {
        #[test]
        fn a_parser_reads_it_back(pairs in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..8)) {
            let packed = pack_metadata(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            let parsed: std::collections::BTreeMap<String, String> =
                serde_json::from_str(&json(&packed).expect("packed")).expect("JSON");
            prop_assert_eq!(parsed, pairs);
        }

        #[test]
        fn any_bytes_are_metadata_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = json(&bytes);
        }
    }
}
