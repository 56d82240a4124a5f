//! The "newc" cpio format, which the kernel unpacks as its initramfs
//! (`Documentation/driver-api/early-userspace/buffer-format.rst`).

const DIRECTORY: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;

/// An archive in memory.
pub struct Cpio {
    bytes: Vec<u8>,
    inode: u32,
}

impl Cpio {
    /// An empty archive.
    pub fn new() -> Self {
        Self { bytes: Vec::new(), inode: 0 }
    }

    /// Adds a directory. Parents have to come first.
    pub fn directory(&mut self, path: &str) {
        self.entry(path, DIRECTORY, &[]);
    }

    /// Adds a file that may be executed.
    pub fn file(&mut self, path: &str, content: &[u8]) {
        self.entry(path, EXECUTABLE, content);
    }

    /// The finished archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.inode += 1;
        let fields = [
            self.inode,
            mode,
            0, // uid
            0, // gid
            1, // links
            0, // modification time
            content.len() as u32,
            0, // device of the file system, major and minor
            0,
            0, // device of a device node, major and minor
            0,
            path.len() as u32 + 1,
            0, // checksum, unused in this variant
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_aligned() {
        let mut cpio = Cpio::new();
        cpio.directory("dev");
        cpio.file("init", b"12345");
        let bytes = cpio.finish();
        assert_eq!(bytes.len() % 4, 0);
        let headers: Vec<_> = bytes
            .windows(6)
            .enumerate()
            .filter(|(_, w)| w == b"070701")
            .map(|(at, _)| at)
            .collect();
        assert_eq!(headers.len(), 3);
        assert!(headers.iter().all(|at| at % 4 == 0));
        // Header of 110 bytes, the name with its zero, padded; then the content.
        assert_eq!(&bytes[headers[1] + 110..headers[1] + 115], b"init\0");
        assert_eq!(&bytes[headers[1] + 116..headers[1] + 121], b"12345");
        assert_eq!(&bytes[headers[1] + 54..headers[1] + 62], b"00000005");
    }
}
