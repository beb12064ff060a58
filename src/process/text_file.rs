//! Files that an operator names and that are read as a whole: never without an end, and never something that is no file.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Reads a file, or a pipe to its end, as text.
///
/// # Errors
/// It cannot be read, is a directory or a device, is larger than `bytes_max`, or no UTF-8.
pub fn read(path: &Path, bytes_max: u64) -> Result<String> {
    let file = File::open(path)?;
    let kind = file.metadata()?.file_type();
    if !kind.is_file() && !kind.is_fifo() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is neither a file nor a pipe"));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it is larger than {bytes_max} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is no UTF-8"))
}

#[cfg(test)]
mod tests {
    //! A peer that reads /dev/zero for ever neither starts nor says why.
    use super::*;

    #[test]
    fn what_has_no_end_is_refused() {
        let told = |path: &str, max| read(Path::new(path), max).expect_err(path).to_string();
        assert_eq!(told("/dev/zero", 10), "it is neither a file nor a pipe");
        assert_eq!(told("/", 10), "it is neither a file nor a pipe");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "0123456789").expect("written");
        let path = file.path().to_str().expect("UTF-8");
        assert_eq!(read(file.path(), 10).expect("it fits"), "0123456789");
        assert_eq!(told(path, 9), "it is larger than 9 bytes");
        std::fs::write(file.path(), b"\xff").expect("written");
        assert_eq!(told(path, 9), "it is no UTF-8");
    }
}
