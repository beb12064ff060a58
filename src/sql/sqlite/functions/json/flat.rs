//! The way past the tree: one member of a flat object, which is what a task's metadata is.

/// What a look at a flat object gives.
#[derive(Debug, PartialEq)]
pub(super) enum Look<'a> {
    /// The member's value as it is written: a string without escapes, a number or a word.
    Found(&'a str),
    /// It is a flat object without that member.
    Missing,
    /// Not a flat object, or something in it that takes a closer look.
    Unsure,
}

/// The name in a path that is nothing but `$.name` or `$."name"`.
pub(super) fn name_of(path: &str) -> Option<&str> {
    let name = path.strip_prefix("$.")?;
    if let Some(quoted) = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        return (!quoted.is_empty() && !quoted.contains(['"', '\\'])).then_some(quoted);
    }
    let (first, rest) = name.as_bytes().split_first()?;
    let plain = first.is_ascii_alphabetic() || *first == b'_';
    (plain && rest.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')).then_some(name)
}

/// Looks for a member. The whole object is read, so that what is no JSON is seen, and the last of equal names is found.
pub(super) fn look<'a>(text: &'a str, name: &str) -> Look<'a> {
    walk(text, name).unwrap_or(Look::Unsure)
}

/// `None`: unsure.
fn walk<'a>(text: &'a str, name: &str) -> Option<Look<'a>> {
    let bytes = text.as_bytes();
    let mut found = Look::Missing;
    let mut at = space(bytes, 0);
    (*bytes.get(at)? == b'{').then_some(())?;
    at = space(bytes, at + 1);
    if bytes.get(at) == Some(&b'}') {
        return (space(bytes, at + 1) == bytes.len()).then_some(found);
    }
    loop {
        let end = string(bytes, at)?;
        let same = bytes.get(at + 1..end - 1) == Some(name.as_bytes());
        at = space(bytes, end);
        (*bytes.get(at)? == b':').then_some(())?;
        at = space(bytes, at + 1);
        let end = scalar(bytes, at)?;
        if same {
            found = Look::Found(text.get(at..end)?);
        }
        at = space(bytes, end);
        match bytes.get(at)? {
            b',' => at = space(bytes, at + 1),
            b'}' => return (space(bytes, at + 1) == bytes.len()).then_some(found),
            _ => return None,
        }
    }
}

fn space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The end of a string without escapes.
fn string(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?.strip_prefix(b"\"")?;
    let length = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f))?;
    (*rest.get(length)? == b'"').then_some(at + length + 2)
}

/// The end of a string, a whole number or a word.
fn scalar(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let word = |word: &[u8]| rest.starts_with(word).then_some(at + word.len());
    match rest.first()? {
        b'"' => string(bytes, at),
        b't' => word(b"true"),
        b'f' => word(b"false"),
        b'n' => word(b"null"),
        b'1'..=b'9' => {
            let length = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            (!matches!(rest.get(length), Some(b'.' | b'e' | b'E'))).then_some(at + length)
        }
        _ => None,
    }
}
