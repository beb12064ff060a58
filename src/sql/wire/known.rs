//! The statements that a session asked last, compiled: tools ask the same again and again.

use std::sync::Arc;

use crate::sql::sqlite::What;
use crate::sql::statement::Query;
use crate::sql::types::SqlType;

/// So many are kept.
const KEPT: usize = 8;
/// A longer one is not.
const BYTES_MAX: usize = 4 << 10;

/// Texts and what was made of them. All of it follows from the text and the session's settings: whoever changes these clears it.
#[derive(Default)]
pub(super) struct Known(Vec<Kept>);

/// A text, the types of its parameters, and what was made of them.
struct Kept {
    text: String,
    params: Arc<[SqlType]>,
    query: Arc<Query>,
    what: What,
}

impl Known {
    /// What was made of a text.
    pub(super) fn find(&mut self, text: &str, params: &[SqlType]) -> Option<(Arc<Query>, What)> {
        let at = self.0.iter().rposition(|kept| kept.text == text && *kept.params == *params)?;
        let found = self.0.remove(at);
        let (query, what) = (Arc::clone(&found.query), found.what);
        self.0.push(found);
        Some((query, what))
    }

    /// Keeps it.
    pub(super) fn keep(&mut self, text: &str, params: &Arc<[SqlType]>, query: &Arc<Query>, what: What) {
        // The count of warnings is a variable that no SET changes; what := changes is seen by the next statement.
        if text.len() > BYTES_MAX || text.contains("@@") || text.contains(":=") {
            return;
        }
        if self.0.len() >= KEPT {
            self.0.remove(0);
        }
        self.0.push(Kept { text: text.to_owned(), params: Arc::clone(params), query: Arc::clone(query), what });
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    //! A statement that is taken for another would be answered with the other's rows.
    use super::*;

    fn query(sqlite: &str) -> Arc<Query> {
        Arc::new(Query { sqlite: sqlite.to_owned(), columns: Vec::new(), params: 0, tasks: 0, uses: Vec::new(), window: None })
    }

    #[test]
    fn the_last_ones_are_found_by_their_text() {
        let (mut known, none) = (Known::default(), Arc::default());
        for n in 0..=KEPT {
            known.keep(&format!("SELECT {n}"), &none, &query(&n.to_string()), What::Run);
            assert!(known.find("SELECT 1", &[]).is_some() || n == 0, "one that is asked again stays");
        }
        assert!(known.find("SELECT 0", &[]).is_none());
        let (found, what) = known.find("SELECT 2", &[]).expect("kept");
        assert_eq!((found.sqlite.as_str(), what), ("2", What::Run));
        known.keep("SELECT @@warning_count", &none, &query("0"), What::Run);
        known.keep(&" ".repeat(BYTES_MAX + 1), &none, &query("0"), What::Run);
        assert!(known.find("SELECT @@warning_count", &[]).is_none() && known.find(&" ".repeat(BYTES_MAX + 1), &[]).is_none());
        known.keep("SELECT ?", &Arc::from([SqlType::Int]), &query("?"), What::Run);
        assert!(known.find("SELECT ?", &[]).is_none() && known.find("SELECT ?", &[SqlType::Int]).is_some());
        known.clear();
        assert!(known.find("SELECT 2", &[]).is_none());
    }
}
