//! Keys of the store: a keyed 64-bit hash, so that nobody outside can aim at a slot.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// The hashed name of what is limited: a client, a network, a route of a client.
///
/// Two names meet in one key with probability 2⁻⁶⁴ a pair; among one million live clients the
/// chance that any two meet is about 3·10⁻⁸.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u64);

impl Key {
    /// A key made of this one and a second part (a rule, a route); order matters.
    #[must_use]
    pub const fn with(self, part: u64) -> Self {
        // One round of the splitmix64 finaliser: `self` is already keyed, so this needs to mix,
        // not to be secret.
        let mut z = self.0 ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(z ^ (z >> 31))
    }
}

/// Makes keys with SipHash-1-3 under a 128-bit secret (Aumasson and Bernstein, 2012).
///
/// The same secret gives the same keys, so replay and tests repeat; a server draws its own.
#[derive(Clone, Copy, Debug)]
pub struct KeyHasher {
    k0: u64,
    k1: u64,
}

impl KeyHasher {
    /// A hasher with this secret.
    #[must_use]
    pub const fn new(k0: u64, k1: u64) -> Self {
        Self { k0, k1 }
    }

    /// The key of `name` within `space`: one name in two spaces gives unrelated keys.
    #[must_use]
    pub fn key(&self, space: u8, name: &[u8]) -> Key {
        let mut hasher = SipHasher13::new_with_keys(self.k0, self.k1);
        hasher.write_u8(space);
        hasher.write(name);
        Key(hasher.finish())
    }
}
