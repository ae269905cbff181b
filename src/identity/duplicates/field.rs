//! What is compared, and the levels of agreement of each field. A pattern packs one level per field into 64 bits.

use serde::{Deserialize, Serialize};

/// A field of two records that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    Given,
    Family,
    /// Senior, junior, the third.
    Generation,
    Birth,
    Gender,
    Email,
    Phone,
    /// Street and house number together.
    Street,
    /// Postcode, locality and region together.
    Place,
    /// Whatever else the caller has, up to four.
    Other1,
    Other2,
    Other3,
    Other4,
}

/// One level of agreement of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    pub name: &'static str,
    /// How often records of one person show it, before anything is learned.
    pub same: f64,
    /// How often unrelated records show it, before anything is learned.
    pub unrelated: f64,
}

/// A level's place in its field: 0 says that a value is missing, the others follow the table.
pub type LevelIndex = u8;
/// Nothing to compare: no evidence.
pub const MISSING: LevelIndex = 0;
/// The first level of each field is full agreement.
pub const EXACT: LevelIndex = 1;

const fn level(name: &'static str, same: f64, unrelated: f64) -> Level {
    Level { name, same, unrelated }
}

/// Levels of [`Field::Given`].
pub mod given {
    pub const NICKNAME: u8 = 2;
    pub const NEAR: u8 = 3;
    pub const SIMILAR: u8 = 4;
    pub const INITIAL: u8 = 5;
    pub const SWAPPED: u8 = 6;
    pub const MIDDLE_DIFFERS: u8 = 7;
    /// One name stands in the other's place, and the other name is missing.
    pub const ONE_SWAPPED: u8 = 8;
    pub const DIFFERENT: u8 = 9;
    /// The first name and the initial of the second.
    pub const WITH_MIDDLE: u8 = 10;
}
/// Levels of [`Field::Family`].
pub mod family {
    pub const NEAR: u8 = 2;
    pub const PART: u8 = 3;
    pub const SIMILAR: u8 = 4;
    pub const DIFFERENT: u8 = 5;
}
/// Levels of [`Field::Birth`].
pub mod birth {
    pub const SWAPPED: u8 = 2;
    pub const NEAR: u8 = 3;
    pub const TWO_PARTS: u8 = 4;
    pub const PARTIAL: u8 = 5;
    pub const YEAR: u8 = 6;
    pub const DIFFERENT: u8 = 7;
    /// One date is missing, but that record's address ends in the year of the other.
    pub const IN_ADDRESS: u8 = 8;
}
/// Levels of [`Field::Email`].
pub mod email {
    pub const NEAR: u8 = 2;
    pub const LOCAL: u8 = 3;
    pub const LOCAL_NEAR: u8 = 4;
    pub const DIFFERENT: u8 = 5;
    /// The same address, and one of a family by what it is called.
    pub const FAMILY: u8 = 6;
}
/// Levels of [`Field::Phone`].
pub mod phone {
    /// The same number, and one of a mobile, or of a building, by its country's plan of numbers. Where the plan does
    /// not tell, or the country is not known, it is "exact".
    pub const MOBILE: u8 = 2;
    pub const FIXED_LINE: u8 = 3;
    pub const NEAR: u8 = 4;
    pub const DIFFERENT: u8 = 5;
}
/// Levels of [`Field::Street`].
pub mod street {
    pub const NEAR: u8 = 2;
    pub const NUMBER_DIFFERS: u8 = 3;
    pub const NUMBER_ONLY: u8 = 4;
    pub const DIFFERENT: u8 = 5;
    /// The place differs as well, which then is no evidence of its own.
    pub const MOVED: u8 = 6;
}
/// Levels of [`Field::Place`].
pub mod place {
    pub const POSTCODE: u8 = 2;
    pub const NEAR: u8 = 3;
    pub const LOCALITY: u8 = 4;
    pub const SIMILAR: u8 = 5;
    pub const REGION: u8 = 6;
    pub const DIFFERENT: u8 = 7;
}
/// Levels of the other fields, and of gender and generation, which have no middle.
pub mod other {
    pub const NEAR: u8 = 2;
    pub const DIFFERENT: u8 = 3;
}
/// The second level of a field that agrees or not.
pub const CONFLICT: LevelIndex = 2;

const GIVEN: &[Level] = &[
    level("exact", 0.75, 0.004),
    level("nickname", 0.03, 0.002),
    level("near", 0.04, 0.002),
    level("similar", 0.02, 0.01),
    level("initial", 0.02, 0.005),
    level("swapped", 0.01, 0.000_01),
    level("middle_differs", 0.01, 0.0005),
    level("one_swapped", 0.005, 0.0005),
    level("different", 0.065, 0.9754),
    level("exact_with_middle", 0.05, 0.0001),
];
const FAMILY: &[Level] = &[
    level("exact", 0.85, 0.002),
    level("near", 0.05, 0.001),
    level("part", 0.02, 0.0005),
    level("similar", 0.02, 0.006),
    level("different", 0.06, 0.99),
];
const BIRTH: &[Level] = &[
    level("exact", 0.89, 0.000_05),
    level("day_month_swapped", 0.01, 0.000_02),
    level("near", 0.03, 0.0008),
    level("two_parts", 0.02, 0.003),
    level("partial", 0.01, 0.01),
    level("year", 0.01, 0.015),
    level("different", 0.02, 0.970),
    level("year_in_address", 0.01, 0.001),
];
const AGREE: &[Level] = &[level("exact", 0.98, 0.5), level("different", 0.02, 0.5)];
const EMAIL: &[Level] = &[
    level("exact", 0.64, 0.000_001),
    level("near", 0.03, 0.000_001),
    level("same_local_part", 0.07, 0.000_02),
    level("near_local_part", 0.03, 0.000_05),
    level("different", 0.22, 0.999_9),
    level("family_address", 0.01, 0.000_001),
];
const PHONE: &[Level] = &[
    level("exact", 0.40, 0.000_003),
    level("mobile", 0.20, 0.000_001),
    level("fixed_line", 0.10, 0.000_001),
    level("near", 0.03, 0.000_005),
    level("different", 0.27, 0.999_99),
];
const STREET: &[Level] = &[
    level("exact", 0.65, 0.000_1),
    level("near", 0.06, 0.000_1),
    level("number_differs", 0.04, 0.003),
    level("number_only", 0.03, 0.01),
    level("different", 0.04, 0.086_8),
    level("moved", 0.18, 0.90),
];
const PLACE: &[Level] = &[
    level("exact", 0.70, 0.001),
    level("postcode", 0.03, 0.001),
    level("near", 0.03, 0.001),
    level("locality", 0.04, 0.003),
    level("similar", 0.02, 0.005),
    level("region", 0.06, 0.15),
    level("different", 0.12, 0.839),
];
const OTHER: &[Level] = &[level("exact", 0.75, 0.01), level("near", 0.07, 0.01), level("different", 0.18, 0.98)];

impl Field {
    /// All fields, in the order of a pattern.
    pub const ALL: [Self; 13] = [
        Self::Given,
        Self::Family,
        Self::Generation,
        Self::Birth,
        Self::Gender,
        Self::Email,
        Self::Phone,
        Self::Street,
        Self::Place,
        Self::Other1,
        Self::Other2,
        Self::Other3,
        Self::Other4,
    ];

    /// The levels, from full agreement down to none.
    pub const fn levels(self) -> &'static [Level] {
        match self {
            Self::Given => GIVEN,
            Self::Family => FAMILY,
            Self::Birth => BIRTH,
            Self::Generation | Self::Gender => AGREE,
            Self::Email => EMAIL,
            Self::Phone => PHONE,
            Self::Street => STREET,
            Self::Place => PLACE,
            Self::Other1 | Self::Other2 | Self::Other3 | Self::Other4 => OTHER,
        }
    }

    /// The name in models, waterfalls and exported settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Family => "family",
            Self::Generation => "generation",
            Self::Birth => "birth",
            Self::Gender => "gender",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Street => "street",
            Self::Place => "place",
            Self::Other1 => "other1",
            Self::Other2 => "other2",
            Self::Other3 => "other3",
            Self::Other4 => "other4",
        }
    }

    /// The field of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// The name of a level; "missing" for 0.
    pub fn level_name(self, level: LevelIndex) -> &'static str {
        let index = usize::from(level).checked_sub(1);
        index.and_then(|index| self.levels().get(index)).map_or("missing", |level| level.name)
    }

    /// Whether it tells people of one household apart. Relatives agree in the others for no personal reason.
    pub const fn is_personal(self) -> bool {
        matches!(self, Self::Given | Self::Generation | Self::Birth | Self::Gender)
    }

    /// Whether agreeing on a rare value says more than agreeing on a common one.
    pub const fn has_frequencies(self) -> bool {
        !matches!(self, Self::Generation | Self::Gender)
    }

    /// Whether the values of a level are the same, so that their rareness counts.
    pub(super) const fn is_same_value(self, level: LevelIndex) -> bool {
        level == EXACT
            || match self {
                Self::Given => level == given::WITH_MIDDLE,
                Self::Email => level == email::FAMILY,
                Self::Phone => level == phone::MOBILE || level == phone::FIXED_LINE,
                _ => false,
            }
    }

    /// How many bits before this field in a pattern.
    pub(super) const fn shift(self) -> u32 {
        (self as u32) * 4
    }
}

/// The levels of all fields of one pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(u64);

impl Pattern {
    /// The level of a field.
    pub const fn level(self, field: Field) -> LevelIndex {
        ((self.0 >> field.shift()) & 15) as u8
    }

    pub(super) const fn with(self, field: Field, level: LevelIndex) -> Self {
        Self((self.0 & !(15 << field.shift())) | ((level as u64) << field.shift()))
    }

    /// As a number, for storing.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// From a stored number.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}
