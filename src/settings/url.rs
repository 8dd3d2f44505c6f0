//! Characters that must be percent-encoded in a URL. A password that has one of them may be taken for host, port or
//! path, which messages show.

/// What to do about characters that the URL's grammar takes for itself.
pub(crate) const ENCODE_HINT: &str = "percent-encode these characters in user, password and the other parts: % as %25, \
                                      / as %2F, ? as %3F, # as %23, @ as %40, : as %3A, & as %26, a space as %20";

/// Why the parts of `url` are ambiguous, as the end of a sentence; holds no part of the URL. `None` when they can.
pub(crate) fn find_unencoded(url: &str) -> Option<&'static str> {
    let (_, rest) = url.split_once("://")?;
    if rest.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return Some("has white space or a control character in it");
    }
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if tail.contains(['@', '#']) || authority.matches('@').count() > 1 {
        return Some("has a character that must be percent-encoded");
    }
    let is_code = |code: &str| code.len() >= 2 && code.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    let is_encoded = rest.split('%').skip(1).all(is_code);
    (!is_encoded).then_some("has a `%` without two hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_with_special_characters_must_be_encoded() {
        for password in ["1234/x", "12?x", "12#x", "a@b", "50%", "5%2", "a b", "a\tb", "1/2@3", "%zz", "?a=b"]
        {
            for url in [format!("x://user:{password}@host:1/base"), format!("https://user:{password}@host")] {
                assert!(find_unencoded(&url).is_some(), "{url}");
            }
        }
        for url in [
            "mysql://user:p%40%2f@host:3306/base?ssl-mode=DISABLED",
            "https://host:8443/path/",
            "http://[::1]:80",
            "mysql://host/base?socket=/run/x.sock",
            "file:./a@b",
        ] {
            assert_eq!(find_unencoded(url), None, "{url}");
        }
    }
}
