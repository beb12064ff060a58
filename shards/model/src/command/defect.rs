//! What no machine does, because no z4 asks for it.

use std::fmt;

/// Why a command is malformed. There are no others than those below, so a peer that hears one from another peer knows it by its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defect(&'static str);

macro_rules! defects {
    ($($name:ident = $text:literal;)+) => {
        impl Defect {
            $(#[doc = $text] pub const $name: Defect = Defect($text);)+

            /// Every one.
            pub const ALL: &[Defect] = &[$(Defect::$name),+];
        }
    };
}

defects! {
    ROW_TWICE = "a command names a row twice";
    DUE_TOO_LATE = "a due time is after the year 9999";
    PURGE_NOT_ALONE = "a purge and a low-water mark stand alone in their command";
    SEQUENCE_NOT_RESERVED = "a reserved sequence has its top bit set";
    KEY_OF_ANOTHER = "an ack's id and key differ in their sequence";
    TOO_MANY_CREATES = "an entry creates at most 65536 tasks";
    TASK_IN_REGISTRY = "group 0 holds the registry and no tasks";
    REGISTRY_ELSEWHERE = "only group 0 holds the registry";
    DROP_NOT_ALONE = "the removal of a namespace stands alone in its command";
    END_OF_CLAIMS_NOT_ALONE = "the end of claims stands alone in its command";
    ANSWER_OF_ANOTHER_KIND = "a create was answered as something else";
    NO_ANSWER = "a create was not answered";
}

impl Defect {
    /// One that a newer z4 knows.
    const UNKNOWN: Defect = Defect("malformed");

    /// The one of this text; of one that only a newer z4 knows, no more than that there is something.
    pub fn of(text: &str) -> Defect {
        Self::ALL.iter().find(|known| known.0 == text).copied().unwrap_or(Self::UNKNOWN)
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
