//! Crawlers that say in public where they come from, so that nobody is believed who only says so.

use ipnet::IpNet;
use tidegate_behavior::address::{AddressMap, parse_network};

/// The published ranges; each part of the file names the page that its operator publishes it on.
const RANGES: &str = include_str!("../data/crawlers.txt");

/// The value that lists of good addresses give.
const GOOD: i8 = -1;

/// The networks of crawlers whose operators publish them.
pub fn ranges() -> impl Iterator<Item = IpNet> {
    let lines = RANGES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    // That every line can be read is tested; one that could not would be nobody's crawler.
    lines.filter_map(|line| parse_network(line).ok())
}

/// The same with the reputation "good".
#[must_use]
pub fn published() -> AddressMap<i8> {
    let mut map = AddressMap::default();
    ranges().for_each(|network| map.insert(network, GOOD));
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_source_or_a_network() {
        let sources = RANGES.lines().filter(|line| line.contains(": https://")).count();
        assert!(sources >= 3);
        let networks: Vec<&str> =
            RANGES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        for network in &networks {
            let read = parse_network(network).expect(network);
            assert!(read.prefix_len() >= 16, "{network} is too wide to be one crawler's");
        }
        assert_eq!(published().len(), networks.len());
    }

    #[test]
    fn a_crawler_is_known_by_where_it_comes_from() {
        let map = published();
        let of = |addr: &str| map.get(addr.parse().expect("an address")).copied();
        assert_eq!(of("66.249.66.1"), Some(GOOD));
        assert_eq!(of("157.55.39.17"), Some(GOOD));
        assert_eq!(of("2001:4860:4801:10::5"), Some(GOOD));
        assert_eq!(of("192.0.2.1"), None);
    }
}
