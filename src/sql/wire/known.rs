//! The statements that a session asked last, compiled: tools ask the same again and again.

use std::sync::Arc;

use crate::sql::context::Context;
use crate::sql::dialect;
use crate::sql::sqlite::What;
use crate::sql::statement::Query;
use crate::sql::types::{Datum, SqlType};

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
    /// What was made of a text, or of one that differs in such literals alone as are parameters of the query; what stands for them now.
    pub(super) fn find(&mut self, text: &str, context: &Context) -> Option<(Arc<Query>, What, Vec<Datum>)> {
        let values = |kept: &Kept| {
            let typed = *kept.params == *context.params;
            typed.then(|| dialect::values(&kept.query.literals, &kept.text, text, &context.zone)).flatten()
        };
        let (at, values) = self.0.iter().enumerate().rev().find_map(|(at, kept)| Some((at, values(kept)?)))?;
        let found = self.0.remove(at);
        let (query, what) = (Arc::clone(&found.query), found.what);
        self.0.push(found);
        Some((query, what, values))
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
    use crate::sql::dialect::compile_for_others;
    use crate::sql::statement::Statement;
    use crate::sql::testing::context;

    fn query(sqlite: &str) -> Arc<Query> {
        Arc::new(Query { sqlite: sqlite.to_owned(), ..Query::default() })
    }

    fn plain() -> Context {
        context(1_000)
    }

    #[test]
    fn the_last_ones_are_found_by_their_text() {
        let (mut known, none) = (Known::default(), Arc::default());
        for n in 0..=KEPT {
            known.keep(&format!("SELECT {n}"), &none, &query(&n.to_string()), What::Run);
            assert!(known.find("SELECT 1", &plain()).is_some() || n == 0, "one that is asked again stays");
        }
        assert!(known.find("SELECT 0", &plain()).is_none());
        let (found, what, _) = known.find("SELECT 2", &plain()).expect("kept");
        assert_eq!((found.sqlite.as_str(), what), ("2", What::Run));
        known.keep("SELECT @@warning_count", &none, &query("0"), What::Run);
        known.keep(&" ".repeat(BYTES_MAX + 1), &none, &query("0"), What::Run);
        assert!(
            known.find("SELECT @@warning_count", &plain()).is_none()
                && known.find(&" ".repeat(BYTES_MAX + 1), &plain()).is_none()
        );
        known.keep("SELECT ?", &Arc::from([SqlType::Int]), &query("?"), What::Run);
        assert!(
            known.find("SELECT ?", &plain()).is_none()
                && known.find("SELECT ?", &Context { params: Arc::from([SqlType::Int]), ..plain() }).is_some()
        );
        known.clear();
        assert!(known.find("SELECT 2", &plain()).is_none());
    }

    /// A statement with other literals is answered by what was made of the first, and hears nothing of the first one's values.
    #[test]
    fn one_is_known_with_other_literals() {
        let mut known = Known::default();
        let text = |name: &str, from: &str, attempts: &str| {
            format!("SELECT id FROM tasks WHERE namespace = {name} AND deliver_at >= {from} AND attempts < {attempts}")
        };
        let first = text("'a'", "'2022-01-01'", "5");
        let Ok(Statement::Query(query)) = compile_for_others(&first, &plain()) else { panic!("a query") };
        assert_eq!(
            query.values(),
            [Datum::Text("a".into()), Datum::Int(1_640_995_200_000_000), Datum::Int(5)],
            "{}",
            query.sqlite
        );
        known.keep(&first, &Arc::default(), &Arc::new(query), What::Run);
        let mut values = |text: &str| known.find(text, &plain()).map(|(_, _, values)| values);
        let others = [Datum::Text("it; -- \u{fc}".into()), Datum::Int(1_640_998_861_500_000), Datum::Int(70)];
        assert_eq!(values(&text("'it; -- \u{fc}'", "\"2022-01-01 01:01:01.5\"", "70")).as_deref(), Some(&others[..]));
        for other in [
            text("'a'", "'no date'", "5"),
            text("'a'", "20220101", "5"),
            text("'a'", "'2022-01-01'", "5.5"),
            text("'a'", "'2022-01-01'", "99999999999999999999"),
            text("'a'", "'2022-01-01'", "-5"),
            text("'it''s'", "'2022-01-01'", "5"),
            text("'a\\'", "'2022-01-01'", "5"),
            text("'a' 'b'", "'2022-01-01'", "5"),
            text("5", "'2022-01-01'", "5"),
            text("'a' OR 1", "'2022-01-01'", "5"),
            text("'a'", "'2022-01-01'", "5 OR 1"),
            text("'a'", "'2022-01-01'", "5e1"),
            text("'a", "'2022-01-01'", "5"),
        ] {
            assert_eq!(values(&other), None, "{other}");
        }
    }
}
