//! Group 0's rows: peers, slot table, settings of the cluster.

use crate::ids::Namespace;

/// The name that registry commands travel under. Group 0 holds no tasks, so a namespace that a user gives this name is refused
/// there; the router must not take it for a user's.
pub const NAMESPACE: &str = "z4:registry";

/// The namespace under which registry commands travel.
pub fn namespace() -> Namespace {
    // The name is valid: a test says so.
    Namespace::new(NAMESPACE).unwrap_or_else(|error| unreachable!("{error}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_name_is_valid() {
        assert_eq!(super::namespace().as_str(), super::NAMESPACE);
    }
}
