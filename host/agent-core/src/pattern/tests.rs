//! Tables of patterns and requests, and `covers` against a model that splits instead of comparing prefixes.

use proptest::prelude::*;

use super::*;

fn pattern(text: &str) -> UrlPattern {
    text.parse().unwrap_or_else(|problem| panic!("{text}: {problem}"))
}

fn parsed(url: &str) -> Url {
    Url::parse(url).unwrap_or_else(|problem| panic!("{url}: {problem}"))
}

#[test]
fn a_pattern_is_shown_in_its_shortest_form() {
    let cases = [
        ("example.org", "https://example.org"),
        ("https://Example.ORG.:443/", "https://example.org"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("https://*", "https://*"),
        ("https://*.example.org/orders", "https://*.example.org/orders"),
        ("https://api.example.org:8443/v1/", "https://api.example.org:8443/v1/"),
        ("http://127.0.0.1:3000/a%20b", "http://127.0.0.1:3000/a%20b"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("bücher.example", "https://xn--bcher-kva.example"),
        ("example.org:*", "https://example.org:*"),
        ("http://*:*/", "http://*:*"),
        ("https://*.example.org:*/v1", "https://*.example.org:*/v1"),
        ("http://[::1]:*", "http://[::1]:*"),
        ("http://example.org:443", "http://example.org:443"),
        ("http://10.0.0.1:80/8", "http://10.0.0.1:80/8"),
        ("http://10.0.0.1:*/8", "http://10.0.0.1:*/8"),
    ];
    for (text, shown) in cases {
        assert_eq!(pattern(text).to_string(), shown, "{text}");
        assert_eq!(pattern(shown), pattern(text), "{text}");
    }
}

#[test]
fn what_is_ambiguous_or_unmatchable_is_refused() {
    let cases = [
        "",
        "https://",
        "https:///path",
        "ftp://example.org",
        "HTTPS://example.org",
        "https://user@example.org",
        "https://example.org@evil.example",
        "https://example.org?q",
        "https://example.org/#a",
        "https://example.org\\@evil.example",
        "https://example.org/a b",
        "https://exa\tmple.org",
        "https://example.org:0",
        "https://example.org:65536",
        "https://example.org:",
        "https://example.org:080",
        "https://example.org:+80",
        "https://example.org:80-90",
        "https://example.org:**",
        "https://example.org:*0",
        "https://example.org:8*",
        "https://example.org:80:*",
        "https://example.org:*:80",
        "https://:*",
        "https://127.1",
        "https://2130706433",
        "https://0x7f000001",
        "https://0177.0.0.1",
        "https://0",
        "https://127.0.0.1.",
        "https://[0:0:0:0:0:0:0:1]",
        "https://[::ffff:127.0.0.1]",
        "https://::1",
        "https://10.0.0.0/8",
        "https://[fc00::]/7",
        "https://10.0.0.*",
        "https://10.0.0.1-10.0.0.9",
        "https://*.10.0.0.1",
        "https://api.*.example.org",
        "https://*api.example.org",
        "https://**",
        "https://*.*.org",
        "https://*.",
        "https://.",
        "https://.example.org",
        "https://a..example.org",
        "https://ａllowed.example",
        "https://allowed。example",
        "https://ex%61mple.org",
        "https://xn--a.example",
        "https://exa mple.org",
        "https://example.org/a/../b",
        "https://example.org/a/%2e%2e/b",
        "https://example.org/./a",
        "https://example.org/a%2fb",
        "https://example.org/%61",
        "https://example.org/%zz",
        "https://example.org/a//b",
        "https://example.org/.;/a",
        "https://example.org/a/..;/b",
        "https://example.org/..a",
        "https://example.org/ä",
    ];
    for text in cases {
        assert!(text.parse::<UrlPattern>().is_err(), "{text} was read as {:?}", text.parse::<UrlPattern>());
    }
    let long_label = format!("https://{}.example", "a".repeat(64));
    assert!(long_label.parse::<UrlPattern>().is_err());
}

#[test]
fn a_pattern_covers_what_it_says_and_nothing_beside() {
    let cases = [
        ("https://example.org", "https://example.org/any/path?q#f", true),
        ("https://example.org", "https://EXAMPLE.org./", true),
        ("https://example.org", "http://example.org/", false),
        ("https://example.org", "https://example.org:8443/", false),
        ("https://example.org", "https://sub.example.org/", false),
        ("https://example.org", "https://example.org.evil.example/", false),
        ("https://example.org", "https://evilexample.org/", false),
        ("https://example.org", "https://user@example.org/", false),
        ("https://example.org", "https://:word@example.org/", false),
        ("https://example.org", "https://example.org@evil.example/", false),
        ("https://example.org", "https://evil.example#@example.org/", false),
        ("https://example.org", "https://evil.example\\@example.org/", false),
        ("https://*.example.org", "https://a.b.example.org/", true),
        ("https://*.example.org", "https://example.org/", false),
        ("https://*.example.org", "https://example.org.evil.example/", false),
        ("https://*.example.org", "https://evilexample.org/", false),
        ("http://127.0.0.1", "http://127.0.0.1/", true),
        ("http://127.0.0.1", "http://127.1/", true),
        ("http://127.0.0.1", "http://[::ffff:127.0.0.1]/", false),
        ("http://127.0.0.1", "http://localhost/", false),
        ("http://localhost", "http://127.0.0.1/", false),
        ("https://example.org/orders", "https://example.org/orders", true),
        ("https://example.org/orders", "https://example.org/orders/7?x", true),
        ("https://example.org/orders", "https://example.org/orders-old", false),
        ("https://example.org/orders", "https://example.org/Orders", false),
        ("https://example.org/orders", "https://example.org/orders/../admin", false),
        ("https://example.org/orders", "https://example.org/orders/%2e%2e/admin", false),
        ("https://example.org/orders", "https://example.org/orders/%2e%2e%2fadmin", false),
        ("https://example.org/orders", "https://example.org/orders/..%5cadmin", false),
        ("https://example.org/orders", "https://example.org/orders/..;/admin", false),
        ("https://example.org/orders", "https://example.org/orders/%252e%252e%252fadmin", false),
        ("https://example.org/orders/", "https://example.org/orders", false),
        ("https://example.org/orders/", "https://example.org/orders/7", true),
        ("https://example.org", "https://example.org/a%2fb", true),
        ("https://*", "https://127.0.0.1/", true),
        ("https://*", "https://example.org:444/", false),
        ("https://*:*", "https://example.org:444/", true),
        ("https://*:*", "https://example.org/", true),
        ("https://*:*", "http://example.org:443/", false),
        ("http://127.0.0.1:*", "http://127.0.0.1:8099/", true),
        ("http://127.0.0.1:*", "http://127.0.0.2:8099/", false),
        ("https://example.org:*/orders", "https://example.org:8443/orders-old", false),
    ];
    for (text, url, covered) in cases {
        assert_eq!(pattern(text).covers(&parsed(url)), covered, "{text} and {url}");
    }
}

#[test]
fn patterns_intersect_field_by_field() {
    let cases = [
        ("https://*", "https://example.org", Some("https://example.org")),
        ("https://*.example.org/orders", "https://api.example.org", Some("https://api.example.org/orders")),
        ("https://*.example.org", "https://*.api.example.org", Some("https://*.api.example.org")),
        ("https://*.example.org", "https://*.example.org", Some("https://*.example.org")),
        ("https://*.example.org", "https://example.org", None),
        ("https://*", "http://example.org", None),
        ("https://*", "https://example.org:8443", None),
        ("https://*", "https://10.0.0.1", Some("https://10.0.0.1")),
        ("http://*:*", "http://127.0.0.1:8099", Some("http://127.0.0.1:8099")),
        ("http://*:*", "http://127.0.0.1", Some("http://127.0.0.1")),
        ("https://*:*", "https://example.org:*", Some("https://example.org:*")),
        ("https://*", "https://example.org:*", Some("https://example.org")),
        ("https://*:*", "http://example.org:*", None),
        ("https://h.example/a", "https://h.example/ab", None),
        ("https://h.example/a", "https://h.example/a/", Some("https://h.example/a/")),
    ];
    for (one, other, both) in cases {
        let both = both.map(pattern);
        assert_eq!(pattern(one).intersect(&pattern(other)), both, "{one} and {other}");
        assert_eq!(pattern(other).intersect(&pattern(one)), both, "{other} and {one}");
    }
}

/// What a tool holds is stored as text and read again when its run is resumed.
#[test]
fn every_intersection_can_be_read_back() {
    for (ceiling, grant) in [("https://*/8", "https://10.0.0.1"), ("http://*:*/8", "http://[::1]:*")] {
        let both = pattern(ceiling).intersect(&pattern(grant));
        assert_eq!(both.as_ref().map(|both| pattern(&both.to_string())), both, "{ceiling} and {grant}");
    }
}

#[test]
fn a_grant_names_its_hosts() {
    for good in ["https://example.org", "https://*.example.org", "http://localhost", "http://10.0.0.1", "https://co.uk"]
    {
        assert_eq!(pattern(good).check_grantable(), Ok(()), "{good}");
        assert_eq!(pattern(good).check_grantable_by_flag(), Ok(()), "{good}");
    }
    for wide in ["https://*", "https://*.com", "https://*.localhost", "https://*.co.uk", "https://*.github.io"] {
        assert!(pattern(wide).check_grantable().is_err(), "{wide}");
        assert!(pattern(wide).check_grantable_by_flag().is_err(), "{wide}");
    }
}

#[test]
fn a_grant_of_every_port_names_one_host_and_is_no_flag() {
    for good in ["https://example.org:*", "http://127.0.0.1:*", "http://[::1]:*/v1"] {
        let by_flag = TooWide::EveryPortByFlag(pattern(good));
        assert_eq!(pattern(good).check_grantable(), Ok(()), "{good}");
        assert_eq!(pattern(good).check_grantable_by_flag(), Err(by_flag), "{good}");
    }
    for wide in ["https://*:*", "https://*.com:*", "https://*.example.org:*"] {
        assert!(pattern(wide).check_grantable().is_err(), "{wide}");
        assert!(pattern(wide).check_grantable_by_flag().is_err(), "{wide}");
    }
}

#[test]
fn a_pattern_is_stored_as_its_text() -> Result<(), serde_json::Error> {
    for text in ["https://*.example.org/a", "https://example.org:8443", "http://*:*"] {
        let stored = serde_json::to_string(&pattern(text))?;
        assert_eq!(stored, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<UrlPattern>(&stored)?, pattern(text));
    }
    assert!(serde_json::from_str::<UrlPattern>(r#""https://a@b""#).is_err());
    Ok(())
}

/// The same meaning by other means: lists of labels and segments, compared element by element.
fn model_covers(scheme: &str, wildcard: bool, labels: &[&str], port: &str, segments: &[&str], url: &Url) -> bool {
    let asked: Vec<&str> = url.host_str().unwrap_or_default().split('.').collect();
    let tail: Vec<&&str> = asked.iter().rev().take(labels.len()).rev().collect();
    let same_tail = tail.len() == labels.len() && tail.iter().zip(labels).all(|(a, b)| **a == *b);
    let longer = asked.len() > labels.len();
    let path: Vec<&str> = url.path().split('/').skip(1).collect();
    let own = if scheme == "https" { "443" } else { "80" };
    let asked_port = url.port().map_or(own.to_owned(), |port| port.to_string());
    let ports = if port.is_empty() { ":".to_owned() + own } else { port.to_owned() };
    url.scheme() == scheme
        && (ports == ":*" || ports == format!(":{asked_port}"))
        && same_tail
        && longer == wildcard
        && path.len() >= segments.len()
        && path.iter().zip(segments).all(|(a, b)| a == b)
}

fn labels() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "org"]), 1..4)
}

fn segments() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["x", "y", "xy"]), 0..3)
}

/// What follows the host of a pattern.
fn ports() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", ":80", ":443", ":8080", ":*"])
}

/// What follows the host of a request.
fn asked_ports() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", ":80", ":443", ":8080", ":65535"])
}

fn any_port() -> impl Strategy<Value = PortMatch> {
    prop_oneof![prop::sample::select(vec![80, 443, 8080]).prop_map(PortMatch::One), Just(PortMatch::Any)]
}

fn any_pattern() -> impl Strategy<Value = UrlPattern> {
    let host = prop_oneof![
        labels().prop_map(|labels| HostMatch::Exact(labels.join("."))),
        labels().prop_map(|labels| HostMatch::Below(labels.join("."))),
        Just(HostMatch::Any),
    ];
    (host, any_port(), segments()).prop_map(|(host, port, path)| UrlPattern {
        scheme: Scheme::Https,
        host,
        port,
        path_prefix: format!("/{}", path.join("/")),
    })
}

proptest! {
    #[test]
    fn covers_agrees_with_the_model(
        scheme in prop::sample::select(vec!["http", "https"]), wildcard: bool, host in labels(), path in segments(),
        port in ports(),
        asked_scheme in prop::sample::select(vec!["http", "https"]), asked_host in labels(), asked_path in segments(),
        asked_port in asked_ports(),
    ) {
        let star = if wildcard { "*." } else { "" };
        let text = format!("{scheme}://{star}{}{port}/{}", host.join("."), path.join("/"));
        let url = format!("{asked_scheme}://{}{asked_port}/{}", asked_host.join("."), asked_path.join("/"));
        let url = parsed(&url);
        let expected = model_covers(scheme, wildcard, &host, port, &path, &url);
        prop_assert_eq!(pattern(&text).covers(&url), expected, "{} and {}", text, url);
    }

    #[test]
    fn an_intersection_covers_exactly_what_both_cover(
        one in any_pattern(), other in any_pattern(), host in labels(), port in asked_ports(), path in segments(),
    ) {
        let url = parsed(&format!("https://{}{port}/{}", host.join("."), path.join("/")));
        let both = one.intersect(&other).is_some_and(|pattern| pattern.covers(&url));
        prop_assert_eq!(both, one.covers(&url) && other.covers(&url));
        prop_assert!(!one.covers_pattern(&other) || !other.covers(&url) || one.covers(&url));
    }

    /// Nested or disjoint: what two ports have in common is one of them.
    #[test]
    fn ports_are_laminar(one in any_port(), other in any_port()) {
        let both = one.intersect(other);
        prop_assert_eq!(both, other.intersect(one));
        prop_assert!(both.is_none_or(|both| both == one || both == other));
        prop_assert_eq!(one.intersect(one), Some(one));
    }

    /// Every field is taken from one of the two, and the result lies in both.
    #[test]
    fn an_intersection_lies_in_both(one in any_pattern(), other in any_pattern()) {
        prop_assert_eq!(one.intersect(&other), other.intersect(&one));
        if let Some(both) = one.intersect(&other) {
            prop_assert!(one.covers_pattern(&both) && other.covers_pattern(&both), "{}", both);
            prop_assert!([one.port, other.port].contains(&both.port), "{}", both);
            prop_assert_eq!(both.to_string().parse(), Ok(both));
        }
    }

    #[test]
    fn whatever_is_read_is_shown_so_that_it_reads_the_same(text in "(https?://)?[*a-z0-9.\\[\\]:%/@?é-]{0,24}") {
        if let Ok(pattern) = text.parse::<UrlPattern>() {
            prop_assert_eq!(pattern.to_string().parse(), Ok(pattern));
        }
    }
}

#[test]
fn below_a_wildcard_only_short_names_are_granted() {
    let long = format!("https://{}.example.org/", "a".repeat(63));
    let longer = format!("https://{}.b.example.org/", "a".repeat(63));
    let cases = [
        ("https://a.example.org/", true),
        ("https://bucket.s3.eu-west-1.example.org/", true),
        ("https://a.b.c.d.example.org/", false),
        (&long, true),
        (&longer, false),
    ];
    for (url, granted) in cases {
        assert_eq!(pattern("*.example.org").grants(&parsed(url)), granted, "{url}");
        assert!(pattern("*.example.org").covers(&parsed(url)), "{url}: a deny covers it all the same");
    }
    assert!(pattern("a.b.c.d.example.org").grants(&parsed("https://a.b.c.d.example.org/")));
    assert!(!pattern("*.example.org").grants(&parsed("https://example.com/")));
}

#[test]
fn wildcards_below_suffixes_of_many_owners_are_not_granted() -> Result<(), InvalidPattern> {
    let granted = |host: &str| format!("https://*.{host}").parse::<UrlPattern>().map(|it| it.check_grantable().is_ok());
    for shared in [
        "com",
        "nosuchtld",
        "ac.uk",
        "co.in",
        "co.jp",
        "co.kr",
        "co.nz",
        "co.uk",
        "co.za",
        "com.ar",
        "com.au",
        "com.br",
        "com.cn",
        "com.hk",
        "com.mx",
        "com.sg",
        "com.tr",
        "com.tw",
        "gov.uk",
        "ne.jp",
        "net.au",
        "or.jp",
        "org.au",
        "org.uk",
        "amazonaws.com",
        "s3.amazonaws.com",
        "eu-west-1.amazonaws.com",
        "amazonaws.com.cn",
        "windows.net",
        "core.windows.net",
        "fastly.net",
        "prod.fastly.net",
        "appspot.com",
        "azurewebsites.net",
        "cloudfront.net",
        "firebaseapp.com",
        "fly.dev",
        "github.io",
        "gitlab.io",
        "herokuapp.com",
        "netlify.app",
        "onrender.com",
        "pages.dev",
        "readthedocs.io",
        "run.app",
        "vercel.app",
        "web.app",
        "workers.dev",
        "kawasaki.jp",
        "ck",
    ] {
        assert!(!granted(shared)?, "{shared}");
    }
    for owned in ["example.com", "docs.example.co.uk", "me.github.io", "en.wikipedia.org"] {
        assert!(granted(owned)?, "{owned}");
    }
    Ok(())
}
