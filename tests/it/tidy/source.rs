//! Rust source as the tidy test reads it: comments and literals blanked, so that only code is searched.
//!
//! Not a parser: it knows words, paths and line numbers, which is all that the rules speak of.

use std::path::Path;

/// One file of the project.
pub struct Source {
    /// Relative to the project, with forward slashes.
    pub path: String,
    pub text: String,
    /// The text with comments, strings and character literals turned into spaces; same lines.
    code: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned(), code: blank_comments_and_literals(text) }
    }

    pub fn read(root: &Path, path: &str) -> Source {
        Source::new(path, &std::fs::read_to_string(root.join(path)).unwrap())
    }

    /// The numbers of the lines whose code contains `words`.
    pub fn lines_with<'a>(&'a self, words: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.numbered().filter(move |(_, line)| line.contains(words)).map(|(number, _)| number)
    }

    /// The numbers of the lines that name the crate `name` as the head of a path or in a `use`. A module of that name
    /// declared in the file hides the crate, which is then only reached as `::name`.
    pub fn lines_naming<'a>(&'a self, name: &'a str) -> impl Iterator<Item = usize> + 'a {
        let hidden = self.declares_module(name);
        self.numbered().filter(move |(_, line)| names_crate(line, name, hidden)).map(|(number, _)| number)
    }

    /// The first segment of every `use` in the file, with its line; without those that begin at a module of the file.
    pub fn use_roots(&self) -> impl Iterator<Item = (usize, String)> + '_ {
        self.numbered().filter_map(|(number, line)| {
            let line = line.trim_start();
            let line = line.strip_prefix("pub ").unwrap_or(line);
            let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
            let path = line.strip_prefix("use ")?.trim_start_matches("::");
            let head: String = path.chars().take_while(|&c| is_word(c)).collect();
            (!self.declares_module(&head)).then_some((number, head))
        })
    }

    /// Every module named as `crate::module`, with its line.
    pub fn crate_modules(&self) -> impl Iterator<Item = (usize, String)> + '_ {
        self.numbered().flat_map(|(number, line)| {
            let after = line.split("crate::").skip(1);
            after.map(move |rest| (number, rest.chars().take_while(|&c| is_word(c)).collect()))
        })
    }

    /// The names of all functions.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.code.split("fn ").skip(1).map(|rest| {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            rest.split_at(end).0
        })
    }

    fn declares_module(&self, name: &str) -> bool {
        self.numbered().any(|(_, line)| {
            line.split("mod ").skip(1).any(|rest| {
                rest.strip_prefix(name)
                    .is_some_and(|after| after.starts_with(';') || after.trim_start().starts_with('{'))
            })
        })
    }

    fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// The files below `root/folder` with one of the extensions, sorted, relative to `root`.
pub fn files_below(root: &Path, folder: &str, extensions: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) {
                found.push(path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn names_crate(line: &str, name: &str, hidden: bool) -> bool {
    let in_use = line.trim_start().trim_start_matches("pub ").starts_with("use ");
    line.match_indices(name).any(|(at, _)| {
        let (before, from) = line.split_at(at);
        let after = from.get(name.len()..).unwrap_or_default();
        let is_head = match before.strip_suffix("::") {
            // `::name` begins a path; `x::name` and `<T>::name` go on with one.
            Some(earlier) => !earlier.ends_with(|c| is_word(c) || c == '>'),
            None => !hidden && !before.ends_with(|c| is_word(c) || c == '.'),
        };
        let goes_on = after.starts_with("::") || (in_use && !after.starts_with(is_word));
        is_head && goes_on
    })
}

/// Blanks everything that is not code. Line breaks stay, so that line numbers hold.
fn blank_comments_and_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let rest = chars.get(at..).unwrap_or_default();
        let follows_word = at > 0 && chars.get(at - 1).is_some_and(|&before| is_word(before));
        let length = match c {
            '/' if rest.starts_with(&['/', '/']) => rest.iter().take_while(|&&c| c != '\n').count(),
            '/' if rest.starts_with(&['/', '*']) => block_comment(rest),
            '"' => string(rest),
            'r' | 'b' if !follows_word => prefixed_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if length == 0 {
            code.push(c);
            at += 1;
        } else {
            code.extend(rest.iter().take(length).map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at += length;
        }
    }
    code
}

/// The length of the block comment that `rest` begins with; they nest.
fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest.get(at..at + 2) {
            Some(['/', '*']) => (depth, at) = (depth + 1, at + 2),
            Some(['*', '/']) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the quoted string that `rest` begins with.
fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while let Some(&c) = rest.get(at) {
        match c {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// The length of the `r"…"`, `r#"…"#`, `b"…"`, `br"…"` that `rest` begins with; 0 if it is a word or a raw identifier.
fn prefixed_string(rest: &[char]) -> usize {
    let letters = rest.iter().take_while(|&&c| c == 'b' || c == 'r').count();
    let raw = rest.get(..letters).is_some_and(|prefix| prefix.contains(&'r'));
    let hashes = rest.iter().skip(letters).take_while(|&&c| c == '#').count();
    let open = letters + hashes;
    if letters > 2 || rest.get(open) != Some(&'"') || (hashes > 0 && !raw) {
        return 0;
    }
    if !raw {
        return open + string(rest.get(open..).unwrap_or_default());
    }
    let mut at = open + 1;
    while at < rest.len() {
        let closing = rest.get(at) == Some(&'"');
        if closing && rest.get(at + 1..at + 1 + hashes).is_some_and(|marks| marks.iter().all(|&mark| mark == '#')) {
            return at + 1 + hashes;
        }
        at += 1;
    }
    at
}

/// The length of the character literal that `rest` begins with; 0 for a lifetime.
fn character(rest: &[char]) -> usize {
    match rest {
        ['\'', '\\', _, tail @ ..] => 3 + tail.iter().take_while(|&&c| c != '\'').count() + 1,
        ['\'', _, '\'', ..] => 3,
        _ => 0,
    }
}
