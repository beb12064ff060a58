//! Several statements in one text: where one ends.

use super::source::comments::{self, Part};

/// The first statement of a text, and what is behind its semicolon. Semicolons inside quotes and comments end nothing.
pub fn split(text: &str) -> (&str, &str) {
    let mut end = None;
    walk(text, |at, c| {
        if c == ';' {
            end = Some(at);
        }
        end.is_none()
    });
    match end {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
        None => (text, ""),
    }
}

/// There is nothing in a text but white space, comments and semicolons.
pub fn is_blank(text: &str) -> bool {
    let mut blank = true;
    walk(text, |_, c| {
        blank = c.is_whitespace() || c == ';';
        blank
    });
    blank
}

/// Shows what stands outside of comments, until `see` says no; of what is in quotes the opening quote alone. What a conditional comment
/// holds is not shown, and its marks as something: it belongs to one statement.
fn walk(text: &str, mut see: impl FnMut(usize, char) -> bool) {
    comments::walk(text, |piece| match piece.part {
        Part::Sql | Part::Quote if !piece.conditional => see(piece.at, piece.first),
        Part::Mark => see(piece.at, 'x'),
        _ => true,
    });
}

#[cfg(test)]
mod tests {
    //! A semicolon that is taken for an end, or is not, makes other statements of a text than the client wrote.
    use super::*;

    #[test]
    fn texts_are_cut_at_semicolons_outside_of_quotes_and_comments() {
        for (text, expected) in [
            ("a", ("a", "")),
            ("a;", ("a", "")),
            ("a; b;c", ("a", " b;c")),
            ("';' ; b", ("';' ", " b")),
            ("'it\\';' ; b", ("'it\\';' ", " b")),
            ("'it'';' ; b", ("'it'';' ", " b")),
            ("\"a;\";`;`;b", ("\"a;\"", "`;`;b")),
            ("`;`;b", ("`;`", "b")),
            ("a -- ;\n;b", ("a -- ;\n", "b")),
            ("a # ;\n;b", ("a # ;\n", "b")),
            ("a /* ; */;b", ("a /* ; */", "b")),
            ("/*!40101 SET a = 1; */;b", ("/*!40101 SET a = 1; */", "b")),
            ("a--;b", ("a--", "b")),
            ("é;ü", ("é", "ü")),
            ("'open; b", ("'open; b", "")),
            (";a", ("", "a")),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }

    #[test]
    fn blank_texts_are_no_statements() {
        for text in ["", " \n", "-- x", "# x\n ;", "/* x */", ";;", "/* open"] {
            assert!(is_blank(text), "{text:?}");
        }
        for text in ["a", "/*!40101 SET a = 1 */", "-- x\na", "''"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }
}
