//! A serde deserializer over parsed TOML whose errors say where and what, as data.
//!
//! `toml`'s own errors are sentences: they hold the refused value (which may be a secret), and a section stops at its
//! first. Here a mistake carries its path, so that the caller can mend that one place and read on.

use std::fmt;

use serde::Deserializer;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use toml::Value;

use super::problem::nearest;
use super::source::Origins;

/// One step from a table or list to a value in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Why a value was refused.
#[derive(Debug)]
pub(super) struct Mistake {
    /// From the value that was read down to the refused one, innermost last.
    pub(super) path: Vec<Step>,
    pub(super) what: What,
}

/// What is wrong with the value at the path.
#[derive(Debug)]
pub(super) enum What {
    /// No such key; these there are.
    Unknown(&'static [&'static str]),
    /// `expected` is empty if the refusal did not say.
    Wrong { problem: String, expected: String },
}

impl Mistake {
    fn new(problem: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { path: Vec::new(), what: What::Wrong { problem: problem.into(), expected: expected.into() } }
    }

    fn below(mut self, step: Step) -> Self {
        self.path.insert(0, step);
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Unknown(known) => write!(f, "is not a known key; expected {}", one_of(known)),
            What::Wrong { problem, expected } => write!(f, "{problem}; expected {expected}"),
        }
    }
}

impl std::error::Error for Mistake {}

impl de::Error for Mistake {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        match message.split_once("; expected ") {
            Some((problem, expected)) => Self::new(problem, expected),
            None => Self::new(message, ""),
        }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("is {}", kind(&unexpected)), plain(&expected.to_string()))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let problem = match unexpected {
            Unexpected::Signed(number) => format!("{number} is out of range"),
            Unexpected::Unsigned(number) => format!("{number} is out of range"),
            other => format!("is {}", kind(&other)),
        };
        Self::new(problem, plain(&expected.to_string()))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("`{variant}` is not known{}", hint(variant, expected)), one_of(expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self { path: vec![Step::Key(field.to_owned())], what: What::Unknown(expected) }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("is missing", "a value").below(Step::Key(field.to_owned()))
    }
}

/// The words for an unknown name that is close to a known one.
pub(super) fn hint(word: &str, known: &[&str]) -> String {
    nearest(word, known).map(|known| format!(" (did you mean `{known}`?)")).unwrap_or_default()
}

pub(super) fn one_of(known: &[&str]) -> String {
    match known {
        [] => "no key here".to_owned(),
        [one] => one.to_string(),
        many => format!("one of {}", many.join(", ")),
    }
}

fn kind(unexpected: &Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a number with a fraction",
        Unexpected::Str(_) | Unexpected::Char(_) => "text",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a table",
        _ => "something else",
    }
}

fn plain(expected: &str) -> String {
    match expected {
        "a boolean" => "true or false".to_owned(),
        "a string" | "path string" => "text in quotes".to_owned(),
        "a sequence" => "a list".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) value: &'a Value,
    pub(super) key: &'a str,
    pub(super) origins: &'a Origins,
}

impl Reader<'_> {
    /// The text, if it came from the environment, where everything is text.
    fn environment(&self) -> Option<&str> {
        self.value.as_str().filter(|_| self.origins.is_overridden(self.key))
    }

    /// What the text of an environment variable means where `fits` is wanted; else the value itself.
    fn meant(&self, fits: fn(&Value) -> bool) -> Option<Value> {
        let text = self.environment()?;
        let document: toml::Table = toml::from_str(&format!("value = {text}")).ok()?;
        document.get("value").filter(|value| fits(value)).cloned()
    }

    fn read<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.value {
            Value::String(text) => visitor.visit_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(flag) => visitor.visit_bool(*flag),
            Value::Datetime(date) => visitor.visit_string(date.to_string()),
            Value::Array(list) => visitor.visit_seq(Items { list: list.iter().enumerate(), parent: self }),
            Value::Table(table) => visitor.visit_map(Members { entries: table.iter(), next: None, parent: self }),
        }
    }

    fn read_as<'de, V: Visitor<'de>>(self, meant: Option<Value>, visitor: V) -> Result<V::Value, Mistake> {
        match meant {
            Some(value) => Reader { value: &value, ..self }.read(visitor),
            None => self.read(visitor),
        }
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
            let meant = self.meant(Value::is_integer);
            self.read_as(meant, visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.read(visitor)
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let meant = self.meant(Value::is_bool);
        self.read_as(meant, visitor)
    }

    /// A list in the environment is written as in TOML, or as words between commas.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let meant = self.meant(Value::is_array).or_else(|| {
            let words = self.environment()?.split(',').map(str::trim).filter(|word| !word.is_empty());
            Some(Value::Array(words.map(Value::from).collect()))
        });
        self.read_as(meant, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match self.value {
            Value::String(text) => visitor.visit_enum(StrDeserializer::<Mistake>::new(text)),
            _ => Err(Mistake::new("is not text", "one of the known words")),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier
        ignored_any
    }
}

struct Items<'a> {
    list: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
    parent: Reader<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mistake> {
        let Some((index, value)) = self.list.next() else { return Ok(None) };
        let key = format!("{}[{index}]", self.parent.key);
        seed.deserialize(Reader { value, key: &key, origins: self.parent.origins })
            .map(Some)
            .map_err(|mistake| mistake.below(Step::Index(index)))
    }
}

struct Members<'a> {
    entries: toml::map::Iter<'a, String, Value>,
    next: Option<(&'a String, &'a Value)>,
    parent: Reader<'a>,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mistake> {
        self.next = self.entries.next();
        let Some((key, _)) = self.next else { return Ok(None) };
        seed.deserialize(IntoDeserializer::<Mistake>::into_deserializer(key.as_str())).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let Some((name, value)) = self.next.take() else {
            return Err(Mistake::new("was read out of order", "a key before its value"));
        };
        let key = format!("{}.{name}", self.parent.key);
        seed.deserialize(Reader { value, key: &key, origins: self.parent.origins })
            .map_err(|mistake| mistake.below(Step::Key(name.clone())))
    }
}
