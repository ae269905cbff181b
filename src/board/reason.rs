//! Why somebody did something to a customer: a sentence for whoever reads the audit log.
//!
//! One rule for the admin API, the desk and the command line. Knows none of them.

/// How many characters it has at most.
pub const LONGEST: usize = 500;

/// The sentence in a text; or what is wrong with it.
///
/// # Errors
/// It says nothing, or too much, or holds control characters other than line feeds.
pub fn read(text: &str) -> Result<&str, &'static str> {
    match text.trim() {
        "" => Err("must say why"),
        sound if sound.chars().count() > LONGEST => Err("has at most 500 characters"),
        sound if sound.chars().any(|c| c.is_control() && c != '\n') => Err("holds no control character"),
        sound => Ok(sound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_sentence() {
        assert_eq!(read(" asked by mail \n"), Ok("asked by mail"));
        assert!(read(&"é".repeat(LONGEST)).is_ok() && read("in\ntwo lines").is_ok());
        for bad in ["", "  ", "a\0b", "a\u{9b}b", &"é".repeat(LONGEST + 1)] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
