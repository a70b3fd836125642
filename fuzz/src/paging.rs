//! Cursors and page numbers: a list in several bodies, one a line. The first byte chooses the list.

use std::collections::HashSet;

use http::StatusCode;
use kapso_exporter::{
    kapso::{PAGE_SIZE, PageToken, Pager},
    model::{Api, Page},
};

use super::scripted::{BASE, Scene, answer, run as simulate};

const MAX_BODIES: usize = 64;

/// A walk ends, reads no page twice, asks for full pages only, and never leaves its list.
pub fn run(data: &[u8]) {
    let Some((&selector, bodies)) = data.split_first() else { return };
    let api = if selector % 4 < 2 { Api::Platform } else { Api::Legacy };
    let bodies: Vec<_> = bodies.split(|&byte| byte == b'\n').take(MAX_BODIES).collect();
    let answers = bodies.iter().map(|body| answer(StatusCode::OK, body.to_vec()));
    simulate(async {
        let scene = Scene::new(api, Some(100_000), answers);
        match selector % 2 {
            0 => walk(scene.client.conversations(None), bodies.len()).await,
            _ => walk(scene.client.executions(&"../c?d#e".into()), bodies.len()).await,
        }
        check_urls(&scene, selector % 2 == 0);
    });
}

async fn walk<T: Send>(mut pager: Pager<'_, T>, bodies: usize) {
    let mut visited = HashSet::from([PageToken::Start]);
    let mut read = 0;
    while let Ok(Some(Page { last, .. })) = pager.next().await {
        read += 1;
        assert_eq!(last, pager.place().is_none());
        assert!(pager.place().is_none_or(|place| visited.insert(place)), "a page is read twice");
    }
    assert!(read <= bodies);
    assert!(pager.place().is_none(), "after an error or the end there is nowhere to go on");
}

fn check_urls(scene: &Scene, conversations: bool) {
    for (_, url) in scene.script.asked() {
        assert!(url.as_str().starts_with(BASE), "{url}");
        let segments = url.path_segments().expect("a path").count();
        assert_eq!(segments, url.path().matches('/').count());
        let (platform, legacy) = if conversations { (3, 2) } else { (5, 4) };
        let expected = if url.path().contains("/whatsapp_") { legacy } else { platform };
        assert_eq!(segments, expected, "{url}");
        let size = PAGE_SIZE.to_string();
        let sizes = url.query_pairs().filter(|(name, _)| ["limit", "per_page"].contains(&name.as_ref()));
        assert_eq!(sizes.map(|(_, value)| value == size).collect::<Vec<_>>(), [true], "{url}");
    }
}
