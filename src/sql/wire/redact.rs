//! Statements for the log: what a user asked, without what he asked for.

/// So much of a statement is logged.
const LOGGED_CHARS: usize = 500;

/// The start of a statement, with a question mark for what stands in quotes: names of namespaces and values of metadata are nobody's
/// business in a log.
pub(super) fn without_values(statement: &str) -> String {
    let mut whole = String::new();
    let mut letters = statement.chars().peekable();
    let mut kept = 0;
    while let Some(letter) = letters.next() {
        if kept == LOGGED_CHARS {
            whole.push('…');
            break;
        }
        kept += 1;
        if letter != '\'' && letter != '"' {
            whole.push(letter);
            continue;
        }
        whole.push('?');
        while let Some(inside) = letters.next() {
            if inside == '\\' || inside == letter && letters.peek() == Some(&letter) {
                letters.next();
            } else if inside == letter {
                break;
            }
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    //! A log that shows what was in quotes shows the users' data.
    use super::*;

    #[test]
    fn what_is_quoted_is_not_shown() {
        for (statement, shown) in [
            ("SELECT * FROM tasks WHERE namespace = 'a' AND id = 3", "SELECT * FROM tasks WHERE namespace = ? AND id = 3"),
            ("SELECT 'it''s', \"a\\\"b\", 'c\\'d', `e`", "SELECT ?, ?, ?, `e`"),
            ("SELECT 'open", "SELECT ?"),
            ("SELECT 'é\\", "SELECT ?"),
        ] {
            assert_eq!(without_values(statement), shown);
        }
        let long = without_values(&"é".repeat(10_000));
        assert_eq!(long.chars().count(), LOGGED_CHARS + 1);
    }
}
