//! Which given names stand for one another. The data is one group a line; a name may be in several.

use std::sync::LazyLock;

use super::super::hash::{self, Map};

/// By the hash of the name.
static GROUPS: LazyLock<Map<u64, [u16; 2]>> = LazyLock::new(|| {
    let mut groups: Map<u64, [u16; 2]> = Map::default();
    for (number, line) in (1_u16..).zip(include_str!("nicknames.txt").lines()) {
        for name in line.split_whitespace() {
            // A third group of a name is left out: such names say little.
            let of = groups.entry(hash::text(name.as_bytes())).or_default();
            if let Some(free) = of.iter_mut().find(|group| **group == 0) {
                *free = number;
            }
        }
    }
    groups
});

/// The groups of a folded given name.
pub(super) fn groups(name: &str) -> [u16; 2] {
    GROUPS.get(&hash::text(name.as_bytes())).copied().unwrap_or_default()
}
