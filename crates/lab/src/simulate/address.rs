//! Addresses: the networks of a seed, homes and hosting alike, in IPv4 and IPv6.

use super::dice::{Dice, mix};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a client sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A home line, a phone with an address of its own, a small firm.
    Home,
    /// A data centre or a proxy farm.
    Hosting,
}

/// The networks that exist in one simulated world.
#[derive(Clone, Debug)]
pub struct Networks {
    homes: Vec<(u32, u32)>,
    hosting: Vec<(u32, u32)>,
    homes6: Vec<u32>,
    hosting6: Vec<u32>,
    six: f64,
    crowded: f64,
    salt: u64,
}

impl Networks {
    /// Draws the networks: how many, how large, how much IPv6.
    #[must_use]
    pub fn draw(dice: &mut Dice) -> Self {
        let blocks = |dice: &mut Dice, low, high, longest| {
            (0..dice.count(low, high))
                .map(|_| {
                    let length = dice.count(12, longest) as u32;
                    (public(dice) & (u32::MAX << (32 - length)), length)
                })
                .collect()
        };
        let blocks6 = |dice: &mut Dice| {
            (0..dice.count(2, 12))
                .map(|_| {
                    let first = dice.pick(&[0x2001u32, 0x2400, 0x2600, 0x2804, 0x2a00, 0x2a02]);
                    (first << 16) | (0x0400 + dice.below(0xf000) as u32)
                })
                .collect()
        };
        Self {
            homes: blocks(dice, 15, 150, 20),
            hosting: blocks(dice, 4, 40, 23),
            homes6: blocks6(dice),
            hosting6: blocks6(dice),
            six: if dice.chance(0.3) { 0.0 } else { dice.between(0.02, 0.5) },
            crowded: dice.between(0.0, 0.4),
            salt: dice.bits(),
        }
    }

    /// Which of the networks a list of hosting networks names: most of them, and a home now and
    /// then.
    pub fn hosting_list(&self, dice: &mut Dice) -> Vec<IpNet> {
        let known = dice.between(0.5, 1.0);
        let v4 = |&(base, length): &(u32, u32)| {
            Ipv4Net::new(Ipv4Addr::from(base), length as u8).map(IpNet::from).ok()
        };
        let v6 = |&first: &u32| {
            let base = Ipv6Addr::from(u128::from(first) << 96);
            Ipv6Net::new(base, 32).map(IpNet::from).ok()
        };
        let hosting = self.hosting.iter().filter_map(v4);
        let hosting = hosting.chain(self.hosting6.iter().filter_map(v6));
        let homes = self.homes.iter().filter_map(v4);
        let all: Vec<(IpNet, f64)> =
            hosting.map(|net| (net, known)).chain(homes.map(|net| (net, 0.01))).collect();
        all.into_iter().filter(|(_, chance)| dice.chance(*chance)).map(|(net, _)| net).collect()
    }

    /// An address of this kind of place.
    pub fn any(&self, dice: &mut Dice, place: Place) -> IpAddr {
        if dice.chance(self.six) {
            return self.six(dice, place);
        }
        let blocks = if place == Place::Home { &self.homes } else { &self.hosting };
        let which = dice.zipf(blocks.len(), 0.7);
        let (base, length) = blocks[which];
        let mask = u32::MAX.checked_shr(length).unwrap_or(0);
        // Some /24s hold many clients of the site, a campus or a proxy farm, good and bad together.
        let host = if dice.chance(self.crowded) {
            let network = mix(self.salt, which as u64 * 8 + dice.below(3) as u64) as u32;
            (network & !0xff) | (1 + dice.below(254) as u32)
        } else {
            dice.bits() as u32
        };
        IpAddr::V4(Ipv4Addr::from(base | (host & mask)))
    }

    fn six(&self, dice: &mut Dice, place: Place) -> IpAddr {
        let blocks = if place == Place::Home { &self.homes6 } else { &self.hosting6 };
        let prefix = u128::from(dice.pick(blocks)) << 96;
        let site = u128::from(dice.bits() as u32) << 64;
        let host = if dice.chance(0.3) { dice.below(500) as u64 + 1 } else { dice.bits() };
        IpAddr::V6(Ipv6Addr::from(prefix | site | u128::from(host)))
    }

    /// Any address of a network.
    pub fn within(dice: &mut Dice, network: IpNet) -> IpAddr {
        match network {
            IpNet::V4(net) => {
                let host = dice.bits() as u32 & u32::from(net.hostmask());
                IpAddr::V4(Ipv4Addr::from(u32::from(net.network()) | host))
            }
            IpNet::V6(net) => {
                let host = u128::from(dice.bits()) & u128::from(net.hostmask());
                IpAddr::V6(Ipv6Addr::from(u128::from(net.network()) | host))
            }
        }
    }

    /// A neighbour in the same /24, or in the same /64 of IPv6.
    pub fn neighbour(dice: &mut Dice, of: IpAddr) -> IpAddr {
        match of {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                IpAddr::V4(Ipv4Addr::new(a, b, c, dice.count(1, 254) as u8))
            }
            IpAddr::V6(v6) => {
                let prefix = u128::from(v6) & (u128::MAX << 64);
                IpAddr::V6(Ipv6Addr::from(prefix | u128::from(dice.bits())))
            }
        }
    }
}

/// An IPv4 address outside the special-purpose registry (RFC 6890).
fn public(dice: &mut Dice) -> u32 {
    loop {
        let address = Ipv4Addr::from(dice.bits() as u32);
        let [a, b, ..] = address.octets();
        // Whole /8s and /12s are refused, so that no block drawn around the address leaves the
        // public space.
        let special = matches!(a, 0 | 10 | 127 | 169 | 172 | 192 | 198 | 203 | 224..)
            || (a == 100 && (64..128).contains(&b));
        if !special {
            return u32::from(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_within_a_network_is_of_it() {
        let mut dice = Dice::new(1, 0);
        for network in ["192.0.2.0/28", "198.51.100.7/32", "2001:db8:1::/64"] {
            let network: IpNet = network.parse().unwrap();
            assert!((0..100).all(|_| network.contains(&Networks::within(&mut dice, network))));
        }
    }

    #[test]
    fn addresses_are_public_and_some_share_a_network() {
        for seed in 0..20 {
            let mut dice = Dice::new(seed, 0);
            let networks = Networks::draw(&mut dice);
            for _ in 0..200 {
                match networks.any(&mut dice, Place::Home) {
                    IpAddr::V4(v4) => assert!(
                        !v4.is_private() && !v4.is_loopback() && !v4.is_multicast(),
                        "{v4} is not public"
                    ),
                    IpAddr::V6(v6) => assert_eq!(v6.octets()[0] >> 5, 1, "{v6} is not global"),
                }
            }
        }
    }
}
