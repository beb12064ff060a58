//! "Did you mean": the known name that is closest to an unknown one.

/// The closest of `known`, when it is close enough to be meant: at most a third of its characters differ.
pub fn nearest(name: &str, known: impl IntoIterator<Item = String>) -> Option<String> {
    let closest = closest(name, known)?;
    (closest.0 * 3 <= closest.1.chars().count()).then_some(closest.1)
}

/// The closest of `known`, and how many characters differ.
pub fn closest(name: &str, known: impl IntoIterator<Item = String>) -> Option<(usize, String)> {
    known.into_iter().map(|k| (distance(name, &k), k)).min()
}

/// Levenshtein's distance: insertions, deletions and replacements of characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_the_name_that_was_meant() {
        let known = || ["service_port", "peer_port", "shards"].map(String::from);
        assert_eq!(nearest("servce_port", known()).as_deref(), Some("service_port"));
        assert_eq!(nearest("shard", known()).as_deref(), Some("shards"));
        assert_eq!(nearest("colour", known()), None);
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("abc", "")), (3, 3, 3));
    }
}
