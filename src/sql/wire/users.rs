//! Who may log in: a file with one user per line, and the two ways to prove a password.
//!
//! ```text
//! # name:hash or name:hash:hash
//! grafana:*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4:$sha2$6ca13d52ca70c883e0f0bb101e425a89e8624de51db2d2392593af6a84118090
//! ```
//!
//! `*` and 40 hex digits is SHA1(SHA1(password)), what `SELECT PASSWORD('…')` prints: `mysql_native_password` checks it.
//! `$sha2$` and 64 hex digits is SHA256(SHA256(password)): `caching_sha2_password` checks it by its fast path. MySQL's own servers keep a
//! salted, slow hash instead, for which the client must show the password itself over TLS the first time, and they cache this one after
//! that; a peer has no TLS, so it has the cached form from the start. Both are as good as the password for whoever reads the file *and*
//! sees a login on the network; the file should belong to the peer alone.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::process::text_file;

/// The plugin that every older client has.
pub(super) const NATIVE: &str = "mysql_native_password";
/// The plugin of newer ones.
pub(super) const SHA2: &str = "caching_sha2_password";
const SHA2_PREFIX: &str = "$sha2$";

/// The users' file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// It cannot be read.
    #[error("cannot read the SQL users' file {}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no user in it.
    #[error("the SQL users' file {} names no user; z4t sql-user makes its lines", .path.display())]
    Nobody {
        /// Which.
        path: PathBuf,
    },
    /// A line of it is no user.
    #[error("line {line} of the SQL users' file: {reason}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// A users' file is no larger: about 100,000 users.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The users. None: anybody may come, from a loopback address.
#[derive(Clone, Debug, Default)]
pub struct Users {
    by_name: BTreeMap<String, Hashes>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Hashes {
    native: Option<[u8; 20]>,
    sha2: Option<[u8; 32]>,
}

impl Users {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or a line of it is wrong; the error names the line.
    pub fn load(path: &Path) -> Result<Users, UsersError> {
        let text = text_file::read(path, FILE_BYTES_MAX).map_err(|source| UsersError::Read { path: path.to_owned(), source })?;
        warn_if_others_read(path);
        Users::parse(&text)
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// A line is wrong.
    pub fn parse(text: &str) -> Result<Users, UsersError> {
        let mut by_name = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |reason: String| UsersError::Line { line: at + 1, reason };
            let (name, hashes) = user(line).map_err(wrong)?;
            if by_name.insert(name.to_owned(), hashes).is_some() {
                return Err(wrong(format!("user {name:?} is there twice")));
            }
        }
        Ok(Users { by_name })
    }

    /// Nobody is named: anybody may come, from a loopback address.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// The plugin that the greeting names.
    pub(super) fn default_plugin(&self) -> &'static str {
        let native = self.is_empty() || self.by_name.values().any(|hashes| hashes.native.is_some());
        if native { NATIVE } else { SHA2 }
    }

    /// The plugin for a user whose client offers one.
    pub(super) fn plugin(&self, name: &[u8], offered: &str) -> &'static str {
        let offered = if offered == SHA2 { SHA2 } else { NATIVE };
        // A name that is not there is asked the same way as one that is.
        match self.hashes(name).or_else(|| self.by_name.values().next().copied()) {
            Some(Hashes { native: None, .. }) => SHA2,
            Some(Hashes { sha2: None, .. }) => NATIVE,
            _ => offered,
        }
    }

    /// The answer to the salt proves the password. With no users at all everybody's does.
    pub(super) fn verify(&self, name: &[u8], plugin: &str, salt: &[u8], answer: &[u8]) -> bool {
        if self.is_empty() {
            return true;
        }
        let known = self.hashes(name);
        let hashes = known.unwrap_or_default();
        let proven = if plugin == SHA2 {
            proves_sha2(&hashes.sha2.unwrap_or_default(), salt, answer) && hashes.sha2.is_some()
        } else {
            proves_native(&hashes.native.unwrap_or_default(), salt, answer) && hashes.native.is_some()
        };
        proven && known.is_some()
    }

    fn hashes(&self, name: &[u8]) -> Option<Hashes> {
        self.by_name.get(std::str::from_utf8(name).ok()?).copied()
    }
}

/// Whoever reads the hashes can log in with them.
fn warn_if_others_read(path: &Path) {
    let Ok(metadata) = std::fs::metadata(path) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    // A group may be what brings the file to the peer, as in Kubernetes.
    if mode & 0o007 != 0 {
        let (path, mode) = (path.display(), format!("{mode:o}"));
        tracing::warn!(%path, mode, "the SQL users' file can be read or written by anybody on this machine: chmod 600 it");
    }
}

/// The line of the users' file for a name and a password, with both hashes.
///
/// # Errors
/// What is wrong with the name or the password.
pub fn line(name: &str, password: &str) -> Result<String, String> {
    check_name(name)?;
    if password.is_empty() {
        return Err("the password is empty".to_owned());
    }
    let native = Sha1::digest(Sha1::digest(password));
    let sha2 = Sha256::digest(Sha256::digest(password));
    Ok(format!("{name}:*{}:{SHA2_PREFIX}{}", hex(&native).to_ascii_uppercase(), hex(&sha2)))
}

fn check_name(name: &str) -> Result<(), String> {
    // 32 characters is MySQL's limit.
    if name.is_empty() || name.chars().count() > 32 {
        return Err(format!("the name {name:?} has {} characters: 1 to 32 are possible", name.chars().count()));
    }
    if name.starts_with('#') || name.trim() != name || name.contains(|c: char| c == ':' || c.is_control()) {
        return Err(format!("the name {name:?} starts with #, has spaces around it, or a colon or control character in it"));
    }
    Ok(())
}

fn user(line: &str) -> Result<(&str, Hashes), String> {
    let (name, rest) = line.split_once(':').ok_or("a user is name:hash or name:hash:hash")?;
    check_name(name)?;
    let mut hashes = Hashes::default();
    for text in rest.split(':') {
        let twice = if let Some(digits) = text.strip_prefix('*') {
            hashes.native.replace(bytes(digits).ok_or("* is followed by 40 hex digits")?).is_some()
        } else if let Some(digits) = text.strip_prefix(SHA2_PREFIX) {
            hashes.sha2.replace(bytes(digits).ok_or("$sha2$ is followed by 64 hex digits")?).is_some()
        } else {
            return Err("a hash starts with * (mysql_native_password) or $sha2$ (caching_sha2_password)".to_owned());
        };
        if twice {
            return Err(format!("user {name:?} has two hashes of the same kind"));
        }
    }
    Ok((name, hashes))
}

fn bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digits = digits.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        for digit in pair {
            *byte = *byte << 4 | char::from(*digit).to_digit(16)? as u8;
        }
    }
    Some(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// answer = SHA1(password) XOR SHA1(salt + hash), hash = SHA1(SHA1(password)).
fn proves_native(hash: &[u8; 20], salt: &[u8], answer: &[u8]) -> bool {
    let mut candidate: [u8; 20] = Sha1::new().chain_update(salt).chain_update(hash).finalize().into();
    mix(&mut candidate, answer) && same(&Sha1::digest(candidate), hash)
}

/// answer = SHA256(password) XOR SHA256(hash + salt), hash = SHA256(SHA256(password)).
fn proves_sha2(hash: &[u8; 32], salt: &[u8], answer: &[u8]) -> bool {
    let mut candidate: [u8; 32] = Sha256::new().chain_update(hash).chain_update(salt).finalize().into();
    mix(&mut candidate, answer) && same(&Sha256::digest(candidate), hash)
}

fn mix(candidate: &mut [u8], answer: &[u8]) -> bool {
    candidate.iter_mut().zip(answer).for_each(|(candidate, answer)| *candidate ^= answer);
    candidate.len() == answer.len()
}

/// Takes the same time wherever they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b));
    std::hint::black_box(difference) == 0 && a.len() == b.len()
}

/// What a client answers: for tests.
#[cfg(test)]
pub(super) fn prove(plugin: &str, password: &str, salt: &[u8]) -> Vec<u8> {
    let xor = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| a ^ b).collect();
    if plugin == SHA2 {
        let once = Sha256::digest(password);
        xor(&once, &Sha256::new().chain_update(Sha256::digest(once)).chain_update(salt).finalize())
    } else {
        let once = Sha1::digest(password);
        xor(&once, &Sha1::new().chain_update(salt).chain_update(Sha1::digest(once)).finalize())
    }
}

#[cfg(test)]
mod tests {
    //! The file is parsed as documented, a wrong line is named, hashes are the ones that MySQL prints, and only the password proves itself.
    use super::*;

    const SALT: &[u8] = b"abcdefghijklmnopqrst";

    #[test]
    fn hashes_are_those_of_mysql() {
        // SELECT PASSWORD('secret') of a MariaDB, and printf secret | sha256sum twice.
        let line = line("grafana", "secret").expect("fine");
        assert!(line.starts_with("grafana:*14E65567ABDB5135D0CFD9A70B3032C179A49EE7:$sha2$"), "{line}");
        let users = Users::parse(&format!("# people\n\n{line}\n")).expect("its own line");
        for plugin in [NATIVE, SHA2] {
            assert!(users.verify(b"grafana", plugin, SALT, &prove(plugin, "secret", SALT)));
            assert!(!users.verify(b"grafana", plugin, SALT, &prove(plugin, "Secret", SALT)));
            assert!(!users.verify(b"grafana", plugin, SALT, &prove(plugin, "secret", b"another")));
            assert!(!users.verify(b"grafana", plugin, SALT, b""));
            assert!(!users.verify(b"nobody", plugin, SALT, &prove(plugin, "secret", SALT)));
        }
    }

    #[test]
    fn the_plugin_fits_the_hashes_and_the_client() {
        let both = line("both", "x").expect("fine");
        let hashes: Vec<&str> = both.split(':').collect();
        let users = Users::parse(&format!("{both}\nold:{}\nnew:{}", hashes[1], hashes[2])).expect("fine");
        assert_eq!(users.plugin(b"both", SHA2), SHA2);
        assert_eq!(users.plugin(b"both", NATIVE), NATIVE);
        assert_eq!(users.plugin(b"both", "dialog"), NATIVE);
        assert_eq!(users.plugin(b"old", SHA2), NATIVE);
        assert_eq!(users.plugin(b"new", NATIVE), SHA2);
        assert_eq!(users.default_plugin(), NATIVE);
        assert_eq!(Users::parse(&format!("new:{}", hashes[2])).expect("fine").default_plugin(), SHA2);
    }

    #[test]
    fn a_wrong_line_is_named() {
        for wrong in ["x", "x:", ":*00", "x:*00", "x:$sha2$zz", "x:plain", "a\nb:*14E65567ABDB5135D0CFD9A70B3032C179A49EE7"] {
            let error = Users::parse(&format!("# first\n{wrong}")).expect_err(wrong).to_string();
            assert!(error.starts_with("line 2 of"), "{wrong}: {error}");
        }
        let twice = "x:*14E65567ABDB5135D0CFD9A70B3032C179A49EE7";
        assert!(Users::parse(&format!("{twice}\n{twice}")).expect_err("twice").to_string().contains("line 2"));
        assert!(line("a:b", "x").is_err());
        assert!(line("", "x").is_err());
        assert!(line("x", "").is_err());
    }
}
