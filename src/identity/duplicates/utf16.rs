//! Text in UTF-16, as Excel and Windows save it, read as UTF-8.

use std::collections::VecDeque;
use std::io::{BufRead, Read, Result};

/// Bytes decoded at once.
const PIECE: u64 = 8192;

/// A source in UTF-16. What is no text becomes the replacement character.
pub(super) struct Utf16<R> {
    from: R,
    unit: fn([u8; 2]) -> u16,
    ready: VecDeque<u8>,
    /// The first half of a letter whose second half is yet to come.
    half: Option<u16>,
}

impl<R: BufRead> Utf16<R> {
    /// With the order of bytes that its mark tells.
    pub(super) fn new(from: R, unit: fn([u8; 2]) -> u16) -> Self {
        Self { from, unit, ready: VecDeque::new(), half: None }
    }

    fn decode(&mut self) -> Result<()> {
        let mut bytes = Vec::new();
        self.from.by_ref().take(PIECE).read_to_end(&mut bytes)?;
        let read = bytes.chunks_exact(2).filter_map(|pair| Some((self.unit)(pair.try_into().ok()?)));
        let mut units: Vec<u16> = self.half.take().into_iter().chain(read).collect();
        if !bytes.is_empty() && matches!(units.last(), Some(0xd800..=0xdbff)) {
            self.half = units.pop();
        }
        let text: String =
            char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        self.ready.extend(text.into_bytes());
        Ok(())
    }
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        if self.ready.is_empty() {
            self.decode()?;
        }
        self.ready.read(to)
    }
}
