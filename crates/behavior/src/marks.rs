//! Marks that few texts hold, looked for in one pass: a text without any costs nothing more.

/// Sets of byte pairs. Whether a text holds one is two loads and an `and` for each byte, however
/// many sets there are; who finds one then looks closely.
pub(crate) struct Marks {
    /// For each byte, the sets of which it may be the first and the second of a pair.
    sets: [[u8; 2]; 256],
    /// The sets that need no first byte.
    lone: u8,
}

impl Marks {
    /// At most eight sets of first and second bytes, letters in lower case standing for both; no
    /// first bytes at all stand for any.
    pub(crate) const fn new(pairs: &[(&[u8], &[u8])]) -> Self {
        let mut marks = Self { sets: [[0; 2]; 256], lone: 0 };
        let mut set = 0;
        while set < pairs.len() {
            let (firsts, seconds) = pairs[set];
            let mut byte = 0;
            while byte < 256 {
                let lower = (byte as u8).to_ascii_lowercase();
                if firsts.is_empty() || holds(firsts, lower) {
                    marks.sets[byte][0] |= 1 << set;
                }
                if holds(seconds, lower) {
                    marks.sets[byte][1] |= 1 << set;
                }
                byte += 1;
            }
            if firsts.is_empty() {
                marks.lone |= 1 << set;
            }
            set += 1;
        }
        marks
    }

    /// Whether any pair of any set is in `text`.
    #[inline]
    pub(crate) fn any(&self, text: &[u8]) -> bool {
        let (mut before, mut found) = (self.lone, 0);
        for &byte in text {
            let [first, second] = self.sets[usize::from(byte)];
            found |= before & second;
            before = first;
        }
        found != 0
    }
}

const fn holds(bytes: &[u8], byte: u8) -> bool {
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == byte {
            return true;
        }
        i += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_lone_bytes_are_found_in_either_case() {
        const MARKS: Marks = Marks::new(&[(b"ab", b"c"), (b"", b"%")]);
        for (text, found) in
            [("ac", true), ("xBCx", true), ("%", true), ("ca", false), ("a c", false), ("", false)]
        {
            assert_eq!(MARKS.any(text.as_bytes()), found, "{text}");
        }
    }
}
