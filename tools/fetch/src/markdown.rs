//! HTML to Markdown, for a reader rather than a renderer. Works on the stream of tags, without a tree: whatever a page nests,
//! memory is bounded and nothing recurses. What a person does not read (scripts, navigation, drawings) is left out.

use agent_host_tool::http::Url;
use html5gum::{StartTag, Token, Tokenizer};

/// Longest text made of a page: links become absolute, so that it may be longer than the page.
const TEXT_BYTES_MAX: usize = 8 << 20;
/// Deepest nesting that is shown of lists and quotations.
const DEPTH_SHOWN_MAX: usize = 8;
/// Most open emphases and links at once; more are shown as plain text.
const INLINE_MAX: usize = 64;

/// A page as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) title: Option<String>,
    pub(crate) text: String,
}

/// Converts a page. Links are made absolute from `base`.
pub(crate) fn from_html(html: &str, base: &Url) -> Document {
    let mut writer = Writer::default();
    for Ok(token) in Tokenizer::new(html) {
        if writer.out.len() > TEXT_BYTES_MAX {
            break;
        }
        match token {
            Token::StartTag(tag) => writer.start(&tag, base),
            Token::EndTag(tag) => writer.end(&String::from_utf8_lossy(&tag.name)),
            Token::String(text) => writer.text(&String::from_utf8_lossy(&text)),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    let title = writer.title.split_whitespace().collect::<Vec<_>>().join(" ");
    Document { title: (!title.is_empty()).then_some(title), text: writer.out.trim().to_owned() }
}

/// What is being written, and where in the page it stands.
#[derive(Default)]
struct Writer {
    out: String,
    title: String,
    in_title: bool,
    /// The element that is left out, and how many of its name are open in it.
    skipped: Option<(String, usize)>,
    /// Line breaks due before the next text.
    breaks: usize,
    /// A space is due before the next text.
    space: bool,
    /// What the next line begins with: a list marker or the signs of a heading.
    marker: String,
    quotes: usize,
    /// The open lists; the number of the next item in ordered ones.
    lists: Vec<Option<u32>>,
    preformatted: bool,
    /// Open emphases and links: the element, where it began, and for a link its target.
    inline: Vec<(&'static str, usize, String)>,
    table: Option<Table>,
}

/// The state of the outermost open table.
#[derive(Default)]
struct Table {
    cells: usize,
    rows: usize,
    depth: usize,
}

impl Writer {
    fn start(&mut self, tag: &StartTag<()>, base: &Url) {
        let name = String::from_utf8_lossy(&tag.name);
        if let Some((skipped, open)) = &mut self.skipped {
            *open += usize::from(*skipped == name && !tag.self_closing);
            return;
        }
        let attribute =
            |wanted: &[u8]| tag.attributes.get(wanted).map(|value| String::from_utf8_lossy(value).into_owned());
        match name.as_ref() {
            "script" | "style" | "noscript" | "template" | "svg" | "iframe" | "object" | "canvas" | "select"
            | "nav" | "dialog"
                if !tag.self_closing =>
            {
                self.skipped = Some((name.into_owned(), 1));
            }
            "title" => self.in_title = self.title.is_empty(),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.block(2);
                self.marker = format!("{} ", "#".repeat(usize::from(tag.name[1] - b'0')));
            }
            "br" => self.block(1),
            "hr" => {
                self.block(2);
                self.inline_text("---");
                self.block(2);
            }
            "pre" => {
                self.block(2);
                self.inline_text("```");
                self.preformatted = true;
                self.line();
            }
            "blockquote" => {
                self.block(2);
                self.quotes += 1;
            }
            "ul" | "menu" => self.begin_list(None),
            "ol" => self.begin_list(Some(attribute(b"start").and_then(|start| start.parse().ok()).unwrap_or(1))),
            "li" => self.item(),
            "img" => self.image(attribute(b"alt"), attribute(b"src"), base),
            "a" => self.open("a", "[", attribute(b"href").and_then(|href| target(&href, base)).unwrap_or_default()),
            "b" | "strong" => self.open("b", "**", String::new()),
            "i" | "em" => self.open("i", "*", String::new()),
            "code" if !self.preformatted => self.open("code", "`", String::new()),
            "table" => self.begin_table(),
            "tr" => self.row(),
            "td" | "th" => self.cell(),
            other => self.block(breaks_around(other)),
        }
    }

    fn end(&mut self, name: &str) {
        if let Some((skipped, open)) = &mut self.skipped {
            *open -= usize::from(skipped == name);
            if *open == 0 {
                self.skipped = None;
            }
            return;
        }
        match name {
            "title" => self.in_title = false,
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.marker.clear();
                self.block(2);
            }
            "pre" => {
                self.preformatted = false;
                let bare = self.out.trim_end_matches('\n').len();
                self.out.truncate(bare);
                self.line();
                self.out.push_str("```");
                self.block(2);
            }
            "blockquote" => {
                self.block(2);
                self.quotes = self.quotes.saturating_sub(1);
            }
            "ul" | "ol" | "menu" => {
                self.lists.pop();
                self.block(if self.lists.is_empty() { 2 } else { 1 });
            }
            "li" => self.block(1),
            "a" => self.close("a", "["),
            "b" | "strong" => self.close("b", "**"),
            "i" | "em" => self.close("i", "*"),
            "code" => self.close("code", "`"),
            "table" => self.end_table(),
            "tr" => self.end_row(),
            other => self.block(breaks_around(other)),
        }
    }

    fn text(&mut self, text: &str) {
        if self.skipped.is_some() {
            return;
        }
        if self.in_title {
            self.title.push_str(text);
        } else if self.preformatted {
            for (index, line) in text.split('\n').enumerate() {
                if index > 0 {
                    self.line();
                }
                self.out.push_str(line);
            }
        } else {
            self.flowing(text);
        }
    }

    /// Text whose spaces and line breaks mean no more than one space.
    fn flowing(&mut self, text: &str) {
        let mut words = text.split_whitespace();
        self.space |= text.starts_with(char::is_whitespace);
        let Some(first) = words.next() else { return };
        self.inline_text(first);
        for word in words {
            self.out.push(' ');
            self.out.push_str(word);
        }
        self.space = text.ends_with(char::is_whitespace);
    }

    /// Writes text after the breaks, the marker or the space that are due.
    fn inline_text(&mut self, text: &str) {
        if self.breaks > 0 && !self.out.is_empty() {
            for _ in 0..self.breaks {
                self.line();
            }
        } else if self.space && !self.out.is_empty() {
            self.out.push(' ');
        } else if self.out.is_empty() {
            self.prefix();
        }
        self.breaks = 0;
        self.space = false;
        self.out.push_str(&std::mem::take(&mut self.marker));
        self.out.push_str(text);
    }

    /// Begins a line, as deep in quotations and lists as we are.
    fn line(&mut self) {
        let bare = self.out.trim_end_matches([' ', '\t']).len();
        if !self.preformatted {
            self.out.truncate(bare);
        }
        self.out.push('\n');
        self.prefix();
    }

    fn prefix(&mut self) {
        for _ in 0..self.quotes.min(DEPTH_SHOWN_MAX) {
            self.out.push_str("> ");
        }
        // A line that begins with its own list marker stands one level to the left.
        let depth = self.lists.len().min(DEPTH_SHOWN_MAX);
        for _ in 0..depth.saturating_sub(usize::from(!self.marker.is_empty())) {
            self.out.push_str("  ");
        }
    }

    /// Asks for line breaks before the next text. Within a table a row is one line.
    fn block(&mut self, breaks: usize) {
        if self.table.is_some() {
            self.space |= breaks > 0;
        } else if breaks > 0 {
            self.breaks = self.breaks.max(breaks);
            self.space = false;
        }
    }

    fn begin_list(&mut self, number: Option<u32>) {
        self.block(if self.lists.is_empty() { 2 } else { 1 });
        self.lists.push(number);
    }

    fn item(&mut self) {
        self.block(1);
        self.marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{number}. ");
                *number = number.saturating_add(1);
                marker
            }
            Some(None) | None => "- ".to_owned(),
        };
        if self.table.is_some() {
            self.marker.clear();
        }
    }

    fn image(&mut self, alt: Option<String>, source: Option<String>, base: &Url) {
        let alt = alt.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        if alt.is_empty() {
            return;
        }
        match source.and_then(|source| target(&source, base)) {
            Some(source) => self.inline_text(&format!("![{alt}]({source})")),
            None => self.inline_text(&format!("![{alt}]")),
        }
    }

    fn open(&mut self, element: &'static str, sign: &str, link: String) {
        let plain = (element == "a" && link.is_empty()) || self.preformatted || self.inline.len() == INLINE_MAX;
        if !plain {
            self.inline_text(sign);
            self.inline.push((element, self.out.len(), link));
        }
    }

    /// Closes the innermost such element, and what was left open in it.
    fn close(&mut self, element: &str, sign: &str) {
        let Some(at) = self.inline.iter().rposition(|(open, _, _)| *open == element) else { return };
        let (_, begin, link) = self.inline.swap_remove(at);
        self.inline.truncate(at);
        if self.out.len() == begin {
            // There was nothing in it.
            self.out.truncate(begin - sign.len());
        } else if element == "a" {
            self.out.push_str(&format!("]({link})"));
        } else {
            self.out.push_str(sign);
        }
    }

    fn begin_table(&mut self) {
        match &mut self.table {
            Some(table) => table.depth += 1,
            None => {
                self.block(2);
                self.table = Some(Table::default());
            }
        }
    }

    fn row(&mut self) {
        self.end_row();
        if let Some(table) = &mut self.table
            && table.depth == 0
        {
            table.cells = 0;
            self.breaks = if table.rows == 0 { self.breaks } else { 1 };
        }
    }

    fn cell(&mut self) {
        let Some(table) = &mut self.table else { return self.block(1) };
        if table.depth > 0 {
            self.space = true;
            return;
        }
        table.cells += 1;
        self.space &= table.cells > 1;
        self.inline_text(if self.breaks > 0 || self.out.is_empty() { "|" } else { " |" });
        self.space = true;
    }

    fn end_row(&mut self) {
        let Some(table) = &mut self.table else { return };
        if table.depth > 0 || table.cells == 0 {
            return;
        }
        let cells = std::mem::take(&mut table.cells);
        table.rows += 1;
        let first = table.rows == 1;
        self.space = false;
        self.out.push_str(" |");
        if first {
            self.line();
            self.out.push('|');
            self.out.push_str(&" --- |".repeat(cells));
        }
        self.breaks = 1;
    }

    fn end_table(&mut self) {
        match &mut self.table {
            Some(table) if table.depth > 0 => table.depth -= 1,
            Some(_) => {
                self.end_row();
                self.table = None;
                self.block(2);
            }
            None => {}
        }
    }
}

/// How many line breaks stand before and after an element.
fn breaks_around(name: &str) -> usize {
    match name {
        "p" | "figure" | "dl" | "section" | "article" | "header" | "footer" | "main" | "aside" | "details" | "form" => {
            2
        }
        "div" | "dt" | "dd" | "figcaption" | "summary" | "caption" | "address" | "option" => 1,
        _ => 0,
    }
}

/// An absolute address, unless it leads nowhere that can be asked for, or to the page itself.
fn target(reference: &str, base: &Url) -> Option<String> {
    if reference.trim_start().starts_with('#') {
        return None;
    }
    base.join(reference).ok().map(|url| url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cases: &[(&str, &str)]) {
        for (html, expected) in cases {
            let base = "https://example.org/dir/page".parse();
            let text = base.map(|base| from_html(html, &base).text);
            assert_eq!(text.as_deref(), Ok(*expected), "{html}");
        }
    }

    #[test]
    fn paragraphs_and_headings() {
        check(&[
            ("<h1>One</h1><p>Two\n  three<p>four<br>five", "# One\n\nTwo three\n\nfour\nfive"),
            ("<div>a</div><div>b <span>c</span></div>", "a\nb c"),
            ("<p>a</p><hr><p>b</p>", "a\n\n---\n\nb"),
            ("a &amp; b &lt;c&gt;", "a & b <c>"),
        ]);
    }

    #[test]
    fn emphasis_links_and_images() {
        check(&[
            ("a <b>bold</b>, <em>soft</em> and <code>x + y</code>.", "a **bold**, *soft* and `x + y`."),
            (
                "<a href='../b?c'>see</a> <a href='#top'>up</a> <a href='javascript:x()'>js</a>",
                "[see](https://example.org/b?c) up js",
            ),
            ("<a href='/x'></a>a<b></b>", "a"),
            ("<img src='/i.png' alt='A  cat'><img src='/j.png'>", "![A cat](https://example.org/i.png)"),
            ("<b>never closed", "**never closed"),
        ]);
    }

    #[test]
    fn lists_and_quotations() {
        check(&[
            ("<p>x<ul><li>a<li>b<ol start=3><li>c</li><li>d</ol></ul>y", "x\n\n- a\n- b\n  3. c\n  4. d\n\ny"),
            ("<ul><li><p>a</p><p>b</p></li></ul>", "- a\n\n  b"),
            ("<blockquote><p>a<p>b</blockquote>c", "> a\n>\n> b\n\nc"),
        ]);
    }

    #[test]
    fn code_keeps_its_lines() {
        check(&[("<p>x</p><pre><code>fn  a() {\n  1\n}\n</code></pre>y", "x\n\n```\nfn  a() {\n  1\n}\n```\n\ny")]);
    }

    #[test]
    fn tables_have_a_head() {
        check(&[(
            "<p>t</p><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td><p>2</p><p>3</p></td></tr></table>z",
            "t\n\n| a | b |\n| --- | --- |\n| 1 | 2 3 |\n\nz",
        )]);
    }

    #[test]
    fn what_nobody_reads_is_left_out() {
        check(&[
            (
                "<head><title>T</title><style>p{}</style></head>a<script>if (a < b) '</p>'</script><nav><a>x</a></nav>b",
                "ab",
            ),
            ("a<svg/>b<svg><svg></svg>x</svg>c<!-- d -->", "abc"),
        ]);
    }

    #[test]
    fn the_title_is_found() {
        let title =
            "https://example.org".parse().ok().and_then(|base| from_html("<title>\n A  page</title>x", &base).title);
        assert_eq!(title.as_deref(), Some("A page"));
    }

    #[test]
    fn hostile_nesting_is_harmless() {
        let base: Option<Url> = "https://example.org".parse().ok();
        for tag in ["<ul><li>x", "<blockquote>x", "<b>x", "<a href=/>x", "<table><tr><td>x", "<div>"] {
            let text = base.as_ref().map(|base| from_html(&tag.repeat(50_000), base).text);
            assert!(text.is_some_and(|text| text.len() < 8_000_000), "{tag}");
        }
    }
}
