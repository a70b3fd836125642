//! Where something is asked for. Ids are data: a URL names exactly the path that they name, or there is none.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

/// What a segment of a path cannot hold as it is. A URL drops tabs and line breaks that are not escaped.
const RESERVED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A path that is longer is not asked for: servers and proxies refuse it, or cut it.
const LONGEST_PATH: usize = 8192;

/// The URL of this path below `base`; `None` where it would name another one.
pub(super) fn address(base: &Url, path: &[&str], query: &[(&str, String)]) -> Option<Url> {
    let mut url = base.clone();
    let below = path.iter().map(|segment| utf8_percent_encode(segment, RESERVED).to_string());
    let above = base.path().trim_end_matches('/').to_owned();
    url.set_path(&std::iter::once(above).chain(below).collect::<Vec<_>>().join("/"));
    if !names(&url, base, path) {
        return None;
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Some(url)
}

/// Whether `url` has exactly this path below `base`. A URL takes `.` and `..` for steps; what an id names is then
/// something else.
fn names(url: &Url, base: &Url, path: &[&str]) -> bool {
    let segments =
        |url: &Url| url.path_segments().map(|segments| segments.map(str::to_owned).collect::<Vec<_>>());
    let (Some(segments), Some(mut above)) = (segments(url), segments(base)) else { return false };
    above.pop_if(|last| last.is_empty());
    let Some(below) = segments.strip_prefix(above.as_slice()) else { return false };
    let is_named = |(segment, name): (&String, &&str)| {
        !name.is_empty() && percent_encoding::percent_decode_str(segment).eq(name.bytes())
    };
    url.path().len() <= LONGEST_PATH && below.len() == path.len() && below.iter().zip(path).all(is_named)
}
