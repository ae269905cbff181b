//! HTML as far as a person without script sees it: text, headings, links, and forms with what is filled in already.
//!
//! It reads our own well-formed pages. It is no parser for the web at large, and knows nothing of HTTP.

/// One form of a page.
#[derive(Clone, Debug, Default)]
pub struct Form {
    pub id: String,
    pub action: String,
    /// `get` or `post`.
    pub method: String,
    pub fields: Vec<Field>,
}

/// One input, select, textarea or button with a name.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub value: String,
    pub kind: Kind,
}

/// When a field is part of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Always: text, hidden, checked boxes, selects.
    Filled,
    /// Only if somebody ticks it.
    Unchecked,
    /// Only if somebody presses it.
    Button,
}

impl Form {
    /// Whether these values can be entered: each is a field, and where it is a button, one with that very value.
    pub fn takes(&self, entered: &[(&str, &str)]) -> bool {
        entered.iter().all(|(name, value)| {
            self.fields.iter().any(|field| field.name == *name && (field.kind != Kind::Button || field.value == *value))
        })
    }

    /// What is sent when these values are entered and the rest is left as it stands.
    pub fn filled_in(&self, entered: &[(&str, &str)]) -> Vec<(String, String)> {
        let untouched = self
            .fields
            .iter()
            .filter(|field| field.kind == Kind::Filled && !entered.iter().any(|(name, _)| *name == field.name));
        let untouched = untouched.map(|field| (field.name.clone(), field.value.clone()));
        untouched.chain(entered.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).collect()
    }
}

/// All forms, in order.
pub fn forms(html: &str) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let mut inside = false;
    let mut select: Option<(String, Option<String>)> = None;
    let mut textarea: Option<Field> = None;
    for token in tokens(html) {
        match &token {
            Token::Open(tag) if tag.name == "form" => {
                let method = tag.get("method").unwrap_or("get").to_ascii_lowercase();
                let text = |name| tag.get(name).unwrap_or_default().to_owned();
                forms.push(Form { id: text("id"), action: text("action"), method, fields: Vec::new() });
                inside = true;
            }
            Token::Close(name) if name == "form" => inside = false,
            Token::Open(tag) if tag.name == "select" => select = tag.get("name").map(|name| (name.to_owned(), None)),
            Token::Open(tag) if tag.name == "option" => {
                if let Some((_, chosen)) = &mut select
                    && (chosen.is_none() || tag.get("selected").is_some())
                {
                    *chosen = Some(tag.get("value").unwrap_or_default().to_owned());
                }
            }
            Token::Open(tag) if tag.name == "textarea" => textarea = tag.field(Kind::Filled),
            Token::Text(text) => {
                if let Some(field) = &mut textarea {
                    field.value.push_str(text);
                }
            }
            _ => {}
        }
        let done = match &token {
            Token::Open(tag) if tag.name == "input" => tag.input(),
            Token::Open(tag) if tag.name == "button" && tag.get("type").unwrap_or("submit") == "submit" => {
                tag.field(Kind::Button)
            }
            Token::Close(name) if name == "select" => {
                select.take().map(|(name, value)| Field { name, value: value.unwrap_or_default(), kind: Kind::Filled })
            }
            Token::Close(name) if name == "textarea" => textarea.take(),
            _ => None,
        };
        if let (true, Some(form), Some(field)) = (inside, forms.last_mut(), done) {
            form.fields.push(field);
        }
    }
    forms
}

/// What is to be read on the page: no tags, no script, no style, single spaces.
pub fn text(html: &str) -> String {
    let mut words = String::new();
    for token in tokens(html) {
        match token {
            Token::Text(text) => words.push_str(&text),
            // Words on either side of inline markup belong together; those on either side of a block do not.
            Token::Open(tag) if INLINE.contains(&tag.name.as_str()) => {}
            Token::Close(name) if INLINE.contains(&name.as_str()) => {}
            _ => words.push(' '),
        }
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

const INLINE: &[&str] = &["a", "abbr", "b", "bdi", "code", "em", "i", "mark", "small", "span", "strong"];

/// The text of the first element `name`, such as `h1` or `title`.
pub fn text_of(html: &str, name: &str) -> Option<String> {
    let mut words: Option<String> = None;
    for token in tokens(html) {
        match token {
            Token::Open(tag) if tag.name == name => words = Some(String::new()),
            Token::Close(closed) if closed == name && words.is_some() => break,
            Token::Text(text) => {
                if let Some(words) = &mut words {
                    words.push_str(&text);
                }
            }
            _ => {}
        }
    }
    words.map(|words| words.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// All links: what they say, where they lead.
pub fn links(html: &str) -> Vec<(String, String)> {
    let mut links: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for token in tokens(html) {
        match token {
            Token::Open(tag) if tag.name == "a" => {
                if let Some(href) = tag.get("href") {
                    links.push((String::new(), href.to_owned()));
                    inside = true;
                }
            }
            Token::Close(name) if name == "a" => inside = false,
            Token::Text(text) if inside => links.last_mut().unwrap().0.push_str(&text),
            _ => {}
        }
    }
    links.into_iter().map(|(words, href)| (words.split_whitespace().collect::<Vec<_>>().join(" "), href)).collect()
}

/// `&amp;` and its like as the characters they stand for.
pub fn decode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        decoded.push_str(before);
        let entity = from.find(';').and_then(|end| Some((character(from.get(1..end)?)?, end + 1)));
        let (c, length) = entity.unwrap_or(('&', 1));
        decoded.push(c);
        rest = from.get(length..).unwrap_or_default();
    }
    decoded + rest
}

fn character(entity: &str) -> Option<char> {
    let number = match entity.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => digits.parse().ok()?,
        },
        None => {
            return Some(match entity {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                "nbsp" => '\u{a0}',
                "hellip" => '…',
                "middot" => '·',
                "ndash" => '–',
                "mdash" => '—',
                "rarr" => '→',
                _ => return None,
            });
        }
    };
    char::from_u32(number)
}

enum Token {
    Open(Tag),
    Close(String),
    Text(String),
}

struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(attribute, _)| attribute == name).map(|(_, value)| value.as_str())
    }

    fn field(&self, kind: Kind) -> Option<Field> {
        let name = self.get("name").filter(|name| !name.is_empty())?.to_owned();
        Some(Field { name, value: self.get("value").unwrap_or_default().to_owned(), kind })
    }

    fn input(&self) -> Option<Field> {
        match self.get("type").unwrap_or("text") {
            "submit" | "image" => self.field(Kind::Button),
            "button" | "reset" => None,
            "checkbox" | "radio" => {
                let kind = if self.get("checked").is_some() { Kind::Filled } else { Kind::Unchecked };
                let mut field = self.field(kind)?;
                if self.get("value").is_none() {
                    "on".clone_into(&mut field.value);
                }
                Some(field)
            }
            _ => self.field(Kind::Filled),
        }
    }
}

fn tokens(html: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = html;
    while !rest.is_empty() {
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
        } else if let Some(declaration) = rest.strip_prefix("<!") {
            rest = declaration.split_once('>').map_or("", |(_, after)| after);
        } else if let Some(close) = rest.strip_prefix("</") {
            let (name, after) = close.split_once('>').unwrap_or((close, ""));
            tokens.push(Token::Close(name.trim().to_ascii_lowercase()));
            rest = after;
        } else if let Some(open) =
            rest.strip_prefix('<').filter(|open| open.starts_with(|c: char| c.is_ascii_alphabetic()))
        {
            let (tag, after) = tag(open);
            rest = after;
            if tag.name == "script" || tag.name == "style" {
                rest = rest.split_once(&format!("</{}>", tag.name)).map_or("", |(_, after)| after);
            }
            tokens.push(Token::Open(tag));
        } else {
            let next = rest.char_indices().skip(1).find(|(_, c)| *c == '<');
            let end = next.map_or(rest.len(), |(at, _)| at);
            let (text, after) = rest.split_at(end);
            tokens.push(Token::Text(decode(text)));
            rest = after;
        }
    }
    tokens
}

/// Reads a tag from behind its `<`; answers it and what follows its `>`.
fn tag(open: &str) -> (Tag, &str) {
    let end = open.find(|c: char| c.is_whitespace() || c == '>' || c == '/').unwrap_or(open.len());
    let (name, mut rest) = open.split_at(end);
    let mut tag = Tag { name: name.to_ascii_lowercase(), attributes: Vec::new() };
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if let Some(after) = rest.strip_prefix('>') {
            return (tag, after);
        }
        if rest.is_empty() {
            return (tag, rest);
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/')).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let (value, after) = match after.trim_start().strip_prefix('=') {
            Some(value) => attribute_value(value.trim_start()),
            None => ("", after),
        };
        tag.attributes.push((name.to_ascii_lowercase(), decode(value)));
        rest = after;
    }
}

fn attribute_value(rest: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = rest.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    rest.split_at(rest.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(rest.len()))
}

#[test]
fn a_page_is_read_as_a_person_reads_it() {
    let page = r#"<!doctype html><title>Shop &amp; Co</title><style>h1 > p { }</style><!-- <form> -->
        <p>−12</p><h1>Sign in to <bdi>Ann&#39;s&nbsp;shop</bdi></h1><a href="/sign-up?flow=a&amp;b=c">Create <b>account</b></a>
        <form method=post action="/login/social"><input type=hidden name=flow value='x"y'><button name="connector" value="g">G</button></form>
        <form method="post" action="/login/social"><input type="hidden" name="flow" value="x"><button name="connector" value="h">H</button></form>
        <form id="rest"><input name="q" value="1 &lt; 2"/><input type="checkbox" name="keep"><input type="checkbox" name="on" checked>
        <select name="s"><option value="1"><option value="2" selected></select><textarea name="t">a &gt; b</textarea></form>"#;
    assert_eq!(text_of(page, "h1").as_deref(), Some("Sign in to Ann's shop"));
    assert_eq!(text_of(page, "title").as_deref(), Some("Shop & Co"));
    assert_eq!(links(page), [("Create account".to_owned(), "/sign-up?flow=a&b=c".to_owned())]);
    assert!(text(page).starts_with("Shop & Co −12 Sign in to Ann's shop Create account G H"));

    let forms = forms(page);
    let [first, second, rest] = forms.as_slice() else { panic!("three forms, not {forms:?}") };
    assert_eq!((first.method.as_str(), first.action.as_str()), ("post", "/login/social"));
    assert!(first.takes(&[("connector", "g")]) && !first.takes(&[("connector", "h")]));
    let sent =
        |form: &Form, entered| form.filled_in(entered).into_iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>();
    assert_eq!(sent(first, &[]), ["flow=x\"y"]);
    assert_eq!(sent(second, &[("connector", "h")]), ["flow=x", "connector=h"]);
    assert_eq!((rest.id.as_str(), rest.method.as_str()), ("rest", "get"));
    assert_eq!(sent(rest, &[("q", "3")]), ["on=on", "s=2", "t=a > b", "q=3"]);
    assert!(rest.takes(&[("keep", "on")]));
}
