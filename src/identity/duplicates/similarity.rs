//! How alike two texts are: Damerau-Levenshtein up to two edits, and Jaro-Winkler. Both are symmetric.
//!
//! Texts are folded before they come here and mostly ASCII; other scripts are compared letter by letter all the same.

/// The longest text that is compared letter by letter; of longer ones the beginnings are.
const LONGEST: usize = 64;

/// Which letters a text has: tells most texts apart before they are read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Letters(u64);

/// Says that a text is not all ASCII, and its letters are not known.
const FOREIGN: u64 = 1 << 63;

impl Letters {
    pub(super) fn of(text: &[u8]) -> Self {
        Self(if text.is_ascii() { mask(text) & !FOREIGN } else { FOREIGN })
    }

    /// Whether so few edits could make one text of the other; each brings at most one letter that the other has not.
    pub(super) const fn allow(self, other: Self, edits: u32) -> bool {
        let (of_a, of_b) = (self.0, other.0);
        let (only_a, only_b) = ((of_a & !of_b).count_ones(), (of_b & !of_a).count_ones());
        (of_a | of_b) & FOREIGN != 0 || only_a <= edits && only_b <= edits
    }
}

/// Edits between two texts (insert, delete, replace, exchange neighbors), at most 3, which means "more than two".
pub(super) fn edits(a: &[u8], b: &[u8]) -> u8 {
    if a.len().abs_diff(b.len()) > 8 {
        return 3;
    }
    let (of_a, of_b) = (mask(a), mask(b));
    if !(a.is_ascii() && b.is_ascii()) {
        return bounded_edits(&letters(a), &letters(b));
    }
    // Each edit brings at most one letter that the other text has not.
    let unknown = (of_a & !of_b).count_ones().max((of_b & !of_a).count_ones());
    if unknown > 2 { 3 } else { bounded_edits(a, b) }
}

/// Whether the Jaro-Winkler similarity is above a bound of at least 0.7. Most texts are told apart by their letters.
pub(super) fn is_similar(a: &[u8], b: &[u8], bound: f32) -> bool {
    if a.is_empty() || b.is_empty() {
        return false;
    }
    let (of_a, of_b) = (mask(a), mask(b));
    let known = |text: &[u8], mask: u64| text.iter().filter(|byte| mask >> (**byte & 63) & 1 == 1).count();
    let matched = known(a, of_b).min(known(b, of_a)) as f32;
    // The prefix adds at most four tenths of what is missing.
    let most = (matched / a.len() as f32 + matched / b.len() as f32 + 1.0) / 3.0;
    if a.is_ascii() && b.is_ascii() && most + 0.4 * (1.0 - most) <= bound { false } else { jaro_winkler(a, b) > bound }
}

/// Whether one text is the other with its letters in another order, but for one that is missing. Short words and those
/// that are not ASCII are not.
pub(super) fn same_letters(a: &[u8], b: &[u8]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.len() < 4
        || long.len() > short.len() + 1
        || mask(short) & !mask(long) != 0
        || !a.is_ascii()
        || !b.is_ascii()
    {
        return false;
    }
    let count = |text: &[u8], letter: u8| text.iter().filter(|other| **other == letter).count();
    short.iter().all(|letter| count(short, *letter) <= count(long, *letter))
}

/// Jaro-Winkler similarity, 0 to 1.
pub(super) fn jaro_winkler(a: &[u8], b: &[u8]) -> f32 {
    if a.is_ascii() && b.is_ascii() { jaro_winkler_of(a, b) } else { jaro_winkler_of(&letters(a), &letters(b)) }
}

/// Which letters a text has; letters that share a bit only make it look more alike.
fn mask(text: &[u8]) -> u64 {
    text.iter().fold(0, |mask, byte| mask | 1 << (byte & 63))
}

fn letters(text: &[u8]) -> Vec<char> {
    std::str::from_utf8(text).unwrap_or_default().chars().collect()
}

fn bounded_edits<T: Copy + Eq>(a: &[T], b: &[T]) -> u8 {
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (a.get(same..).unwrap_or_default(), b.get(same..).unwrap_or_default());
    let same = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let a = a.get(..a.len() - same).unwrap_or_default();
    let b = b.get(..b.len() - same).unwrap_or_default();
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    match (short, long) {
        ([], _) => long.len().min(3) as u8,
        ([x], _) => (long.len() - usize::from(long.contains(x))).clamp(1, 3) as u8,
        ([x1, x2], [y1, y2]) => {
            if x1 == y2 && x2 == y1 {
                1
            } else {
                2
            }
        }
        _ if long.len() - short.len() > 2 || long.len() > LONGEST => 3,
        _ => table_edits(short, long),
    }
}

fn table_edits<T: Copy + Eq>(short: &[T], long: &[T]) -> u8 {
    let mut before = [0_u8; LONGEST + 1];
    let mut above = [0_u8; LONGEST + 1];
    let mut row = [0_u8; LONGEST + 1];
    for (place, cell) in above.iter_mut().enumerate() {
        *cell = place as u8;
    }
    let mut last_x = None;
    for (index, x) in long.iter().enumerate() {
        let mut left = index as u8 + 1;
        let mut least = left;
        let mut corner = index as u8;
        let mut last_y = None;
        let mut exchange_corner = 0;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        let cells = row.iter_mut().skip(1).zip(above.iter().skip(1)).zip(before.iter());
        for (y, ((cell, up), corner_of_corner)) in short.iter().zip(cells) {
            let mut cost = (corner + u8::from(x != y)).min(left + 1).min(*up + 1);
            if last_x == Some(*y) && last_y == Some(*x) {
                cost = cost.min(exchange_corner + 1);
            }
            exchange_corner = *corner_of_corner;
            (corner, left, last_y) = (*up, cost, Some(*y));
            *cell = cost;
            least = least.min(cost);
        }
        if least > 2 {
            return 3;
        }
        last_x = Some(*x);
        before = above;
        above = row;
    }
    above.get(short.len()).copied().unwrap_or(3).min(3)
}

fn jaro_winkler_of<T: Copy + Eq>(a: &[T], b: &[T]) -> f32 {
    let (a, b) = (a.get(..LONGEST).unwrap_or(a), b.get(..LONGEST).unwrap_or(b));
    // Greedy matching depends on which side begins; the shorter one always does, and of equals both are tried.
    let jaro = match a.len().cmp(&b.len()) {
        std::cmp::Ordering::Less => jaro(a, b),
        std::cmp::Ordering::Greater => jaro(b, a),
        std::cmp::Ordering::Equal => jaro(a, b).max(jaro(b, a)),
    };
    let prefix = a.iter().zip(b).take(4).take_while(|(x, y)| x == y).count() as f32;
    if jaro > 0.7 { jaro + 0.1 * prefix * (1.0 - jaro) } else { jaro }
}

fn jaro<T: Copy + Eq>(short: &[T], long: &[T]) -> f32 {
    if short.is_empty() {
        return if long.is_empty() { 1.0 } else { 0.0 };
    }
    let window = (long.len() / 2).saturating_sub(1);
    let (mut taken_short, mut taken_long) = (0_u64, 0_u64);
    for (i, x) in short.iter().enumerate() {
        let low = i.saturating_sub(window);
        let found =
            long.iter().enumerate().take(i + window + 1).skip(low).find(|(j, y)| taken_long & (1 << j) == 0 && *y == x);
        if let Some((j, _)) = found {
            taken_long |= 1 << j;
            taken_short |= 1 << i;
        }
    }
    let matched = taken_short.count_ones() as f32;
    if matched == 0.0 {
        return 0.0;
    }
    let left = short.iter().enumerate().filter(|(i, _)| taken_short & (1 << i) != 0).map(|(_, x)| x);
    let right = long.iter().enumerate().filter(|(j, _)| taken_long & (1 << j) != 0).map(|(_, y)| y);
    let crossed = left.zip(right).filter(|(x, y)| x != y).count() as f32 / 2.0;
    (matched / short.len() as f32 + matched / long.len() as f32 + (matched - crossed) / matched) / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted_up_to_two() {
        for (a, b, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "ab", 1),
            ("abc", "acb", 1),
            ("abc", "axc", 1),
            ("smith", "smyth", 1),
            ("smith", "smiht", 1),
            ("abcd", "badc", 2),
            ("a", "bc", 2),
            ("a", "bac", 2),
            ("abcdef", "xyzuvw", 3),
            ("ab", "xaby", 2),
            ("kitten", "sittin", 2),
            ("kitten", "sitting", 3),
            ("мария", "марья", 1),
            ("ca", "abc", 3),
            ("jones", "johnson", 3),
        ] {
            assert_eq!(edits(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
            assert_eq!(edits(b.as_bytes(), a.as_bytes()), expected, "{b} {a}");
        }
    }

    #[test]
    fn letters_in_another_order_are_the_same() {
        for (a, b, expected) in [
            ("emma", "amme", true),
            ("simon", "oisn", true),
            ("daniel", "nadile", true),
            ("amy", "may", false),
            ("carol", "clara", false),
            ("emma", "gemma", true),
            ("emma", "emmett", false),
            ("мария", "рамия", false),
        ] {
            assert_eq!(same_letters(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
            assert_eq!(same_letters(b.as_bytes(), a.as_bytes()), expected, "{b} {a}");
        }
    }

    #[test]
    fn jaro_winkler_has_the_published_values() {
        for (a, b, expected) in [
            ("martha", "marhta", 0.9611),
            ("dwayne", "duane", 0.84),
            ("dixon", "dicksonx", 0.8133),
            ("abc", "xyz", 0.0),
        ] {
            assert!((jaro_winkler(a.as_bytes(), b.as_bytes()) - expected).abs() < 0.0002, "{a} {b}");
            assert_eq!(jaro_winkler(a.as_bytes(), b.as_bytes()), jaro_winkler(b.as_bytes(), a.as_bytes()));
        }
    }
}
