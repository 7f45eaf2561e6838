//! Assets of a simulated site: scripts, styles, fonts and pictures, and how their names change.

use super::dice::{Dice, mix};
use super::words::{NOUNS, slug, word};

/// How a site names its assets.
#[derive(Clone, Debug)]
pub struct AssetNames {
    scripts: String,
    pictures: String,
    salt: u64,
    style: usize,
    picture_type: &'static str,
}

/// An asset, by number within what it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asset {
    /// One of the scripts, styles and fonts that every page needs.
    Shared(usize),
    /// A script of one route.
    Chunk(usize, usize),
    /// A picture of one item of one route.
    Picture(usize, usize, usize),
}

impl AssetNames {
    /// Draws them.
    pub fn draw(dice: &mut Dice) -> Self {
        let name = word(dice);
        Self {
            scripts: match dice.below(8) {
                0 => "/static/js".to_owned(),
                1 => "/assets".to_owned(),
                2 => "/_next/static/chunks".to_owned(),
                3 => format!("/wp-content/themes/{name}"),
                4 => "/dist".to_owned(),
                5 => format!("/{name}/build"),
                6 => "/js".to_owned(),
                _ => format!("/static/{name}"),
            },
            pictures: match dice.below(6) {
                0 => "/images".to_owned(),
                1 => "/media".to_owned(),
                2 => "/wp-content/uploads".to_owned(),
                3 => "/img".to_owned(),
                4 => format!("/cdn/{name}"),
                _ => "/static/img".to_owned(),
            },
            salt: dice.bits(),
            style: dice.below(4),
            picture_type: dice.pick(&["jpg", "webp", "png", "avif", "jpeg", "gif"]),
        }
    }

    /// The path of an asset as the build `version` of the site names it.
    #[must_use]
    pub fn path(&self, asset: Asset, version: u64) -> String {
        let (group, n) = match asset {
            Asset::Shared(n) => (0, n as u64),
            Asset::Chunk(route, n) => (1 + route as u64, n as u64),
            Asset::Picture(route, item, n) => {
                let hash = mix(mix(self.salt, route as u64), (item as u64) << 8 | n as u64);
                return match self.style {
                    0 => format!(
                        "{}/{:02x}/{:012x}.{}",
                        self.pictures,
                        hash & 0xff,
                        hash >> 16,
                        self.picture_type
                    ),
                    1 => format!("{}/{}-{n}.{}", self.pictures, slug(hash), self.picture_type),
                    2 => format!(
                        "{}/{}x{}/{item}_{n}.{}",
                        self.pictures,
                        100 + route * 40,
                        100 + route * 30,
                        self.picture_type
                    ),
                    _ => format!(
                        "{}/{}.{}?w={}",
                        self.pictures,
                        slug(hash),
                        self.picture_type,
                        160 << (hash % 4)
                    ),
                };
            }
        };
        let hash = mix(mix(self.salt, group), n);
        let name = NOUNS[(hash % NOUNS.len() as u64) as usize];
        let kind = *match n % 8 {
            0 | 3 | 5 => ["js"; 4].as_slice(),
            1 | 6 => &["css"; 4],
            2 => &["woff2", "woff", "ttf", "woff2"],
            4 => &["svg", "ico", "png", "svg"],
            _ => &["js", "mjs", "js", "json"],
        }
        .get(hash as usize % 4)
        .unwrap_or(&"js");
        let build = mix(hash, version);
        match self.style {
            0 => format!("{}/{name}.{:08x}.{kind}", self.scripts, build as u32),
            1 => format!("{}/{name}-{:010x}.{kind}", self.scripts, build >> 24),
            2 => format!("{}/{name}{n}.{kind}?v={}", self.scripts, build % 1000),
            _ => format!("{}/{group}-{n}-{:06x}.{kind}", self.scripts, build >> 40),
        }
    }
}
