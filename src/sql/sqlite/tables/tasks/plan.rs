//! What was agreed with SQLite's planner for one reference to `tasks`: text, because SQLite keeps it between planning and reading,
//! and shows it in its own EXPLAIN.
//!
//! `Ng<L;d-;7ff`: the arguments in order, one letter each; the order of the rows; the columns used, in hex.

use super::bounds::Comparison;
use super::segments::Sort;

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `namespace =`, or IN with all values at once.
    Namespace {
        /// All values at once.
        list: bool,
    },
    /// `state =` or IN.
    State {
        /// All values at once.
        list: bool,
    },
    /// `id =` or IN.
    Id {
        /// All values at once.
        list: bool,
    },
    /// A comparison of `deliver_at`.
    Due(Comparison),
    /// Rows wanted: a hint.
    Limit,
    /// Rows that are skipped before: a hint.
    Offset,
}

const ROLES: &[(char, Role)] = &[
    ('N', Role::Namespace { list: false }),
    ('n', Role::Namespace { list: true }),
    ('S', Role::State { list: false }),
    ('s', Role::State { list: true }),
    ('I', Role::Id { list: false }),
    ('i', Role::Id { list: true }),
    ('>', Role::Due(Comparison::Greater)),
    ('g', Role::Due(Comparison::AtLeast)),
    ('<', Role::Due(Comparison::Less)),
    ('l', Role::Due(Comparison::AtMost)),
    ('=', Role::Due(Comparison::Equal)),
    ('L', Role::Limit),
    ('O', Role::Offset),
];

/// The plan of one reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The arguments, in order.
    pub roles: Vec<Role>,
    /// In which order rows come, most significant first; empty: any.
    pub order: Vec<Sort>,
    /// A bit per column that is used.
    pub columns: u64,
}

impl Plan {
    /// As text.
    pub fn encode(&self) -> String {
        let roles = self.roles.iter().filter_map(|role| ROLES.iter().find(|(_, known)| known == role)).map(|(letter, _)| *letter);
        let order = self.order.iter().flat_map(|sort| sort.letters());
        let mut text: String = roles.collect();
        text.push(';');
        text.extend(order);
        text.push_str(&format!(";{:x}", self.columns));
        text
    }

    /// From text; `None`: not of [`Plan::encode`].
    pub fn decode(text: &str) -> Option<Plan> {
        let mut parts = text.splitn(3, ';');
        let role = |letter: char| ROLES.iter().find(|(known, _)| *known == letter).map(|(_, role)| *role);
        let roles = parts.next()?.chars().map(role).collect::<Option<Vec<Role>>>()?;
        let letters: Vec<char> = parts.next()?.chars().collect();
        let order = letters.chunks(2).map(Sort::from_letters).collect::<Option<Vec<Sort>>>()?;
        Some(Plan { roles, order, columns: u64::from_str_radix(parts.next()?, 16).ok()? })
    }

    /// For people.
    pub fn describe(&self) -> Vec<String> {
        let mut words: Vec<String> = self.order.iter().map(|sort| sort.describe()).collect();
        let says = |wanted: &dyn Fn(&Role) -> bool, word: &str| self.roles.iter().any(wanted).then(|| word.to_owned());
        words.extend(says(&|role| matches!(role, Role::State { .. }), "states cut the ranges"));
        words.extend(says(&|role| matches!(role, Role::Id { .. }), "ids looked up"));
        words.extend(says(&|role| *role == Role::Limit, "limit known"));
        words
    }

    /// Whether a column is used.
    pub fn uses(&self, column: usize) -> bool {
        self.columns & (1 << column.min(63)) != 0
    }
}

#[cfg(test)]
mod tests {
    //! A plan that reads differently from what was written would read other rows than were agreed on.

    use super::super::segments::SortBy;
    use super::*;

    #[test]
    fn plans_round_trip() {
        let plan = Plan {
            roles: ROLES.iter().map(|(_, role)| *role).collect(),
            order: vec![Sort { by: SortBy::Namespace, descending: false }, Sort { by: SortBy::Due, descending: true }],
            columns: 0x7ff,
        };
        assert_eq!(Plan::decode(&plan.encode()), Some(plan));
        assert_eq!(Plan::decode(";;0"), Some(Plan::default()));
        for text in ["", "N", "N;", "x;;0", "N;q+;0", "N;d;0", ";;-1"] {
            assert_eq!(Plan::decode(text), None, "{text}");
        }
    }
}
