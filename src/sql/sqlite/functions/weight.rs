//! In how many places of a regular expression a search may be at once: linear engines take that often a text's length, and nothing
//! interrupts them.

use super::pattern::Manner;

/// What a letter weighs.
pub(super) const LETTER: usize = 1;
/// What a class weighs: it is a small automaton of bytes.
pub(super) const CLASS: usize = 4;

/// The weight of a pattern, while it is read: what one byte of a text may cost at worst.
#[derive(Default)]
pub(super) struct Weight {
    /// Of the open parentheses around, the outermost first.
    around: Vec<usize>,
    /// Of what was read in the innermost.
    inner: usize,
    /// Of what stands last in it, which may be repeated.
    last: usize,
    /// It is more than letters one after the other.
    is_search: bool,
}

impl Weight {
    pub(super) fn atom(&mut self, weight: usize) {
        self.is_search |= weight == CLASS;
        self.inner = self.inner.saturating_add(weight);
        self.last = weight;
    }

    /// Another way to go on.
    pub(super) fn branch(&mut self) {
        self.is_search = true;
        self.inner = self.inner.saturating_add(1);
    }

    pub(super) fn open(&mut self) {
        self.around.push(std::mem::take(&mut self.inner));
    }

    pub(super) fn close(&mut self) {
        let group = self.inner.saturating_add(1);
        self.is_search = true;
        self.inner = self.around.pop().unwrap_or_default().saturating_add(group);
        self.last = group;
    }

    pub(super) fn repeat(&mut self, times: usize) {
        let again = self.last.saturating_mul(times.saturating_sub(1)).saturating_add(1);
        self.is_search = true;
        self.inner = self.inner.saturating_add(again);
        self.last = self.last.saturating_add(again);
    }

    /// Letters alone are found by comparing bytes.
    pub(super) fn total(&self, manner: Manner) -> usize {
        if self.is_search || manner.ci { self.inner.max(1) } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    //! A weight that is too small lets a statement keep a thread.
    use super::super::icu::translated;
    use super::*;

    #[test]
    fn repeats_count_as_often_as_they_stand_for() {
        let weight = |pattern: &str| translated(pattern, Manner::default(), false, 99).expect("a pattern").weight;
        assert_eq!((weight("abc"), weight(r"a\.c"), weight(r"\Q.*\E")), (1, 1, 1), "letters alone");
        for (pattern, least) in [
            ("a|b", 3),
            ("(abc){100}", 300),
            ("((a{10}){10}){10}", 1_000),
            ("(?:[ab]?){20,}", 80),
            ("(?:a{1,50}|b){0,20}", 1_000),
            ("(((((((a{99}){99}){99}){99}){99}){99}){99}){99}", 1 << 40),
        ] {
            assert!(weight(pattern) >= least, "{pattern}: {}", weight(pattern));
        }
        assert!(weight(r"\w+@\w+\.com") < 40);
        let ci = translated("abc", Manner { ci: true, ..Manner::default() }, false, 99).expect("a pattern");
        assert_eq!(ci.weight, 3);
    }
}
